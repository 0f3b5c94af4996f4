from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranked_rows import bare_row as row

from screening.errors import InvalidInput
from screening.transport.documents import Diffusivity
from workflows.pareto_points import Quantity
from workflows.ranking_selection import (
    COLUMNS,
    STATES,
    RankingFacts,
    RankingFilter,
    quantity_name,
    quantity_named,
    sorted_rows,
)

SIGMA = Quantity()


def bound(kelvin, value):
    return Diffusivity(
        species="K", temperature_K=kelvin, duration_ps=1, n_hops=0, upper_bound_cm2_s=value,
        reason="short",
    )  # fmt: skip


def names(rows):
    return [row.id for row in rows]


maybe = st.none() | st.floats(1e-12, 10)


@st.composite
def rankings(draw):
    return [
        row(
            f"c-{number}",
            window_V=draw(maybe),
            e_hull_eV_per_atom=draw(maybe),
            conductivity_300K_S_cm=draw(maybe),
            conductivity_300K_upper_bound_S_cm=draw(maybe),
            rank=draw(st.none() | st.integers(1, 5)),
            activation_energy_eV=draw(maybe),
            caveats=draw(st.sampled_from([(), ("a",), ("a", "b")])),
        )
        for number in range(draw(st.integers(0, 8)))
    ]


@given(rankings(), st.sampled_from([*COLUMNS, "sigma", "D_600K"]), st.booleans())
def test_values_are_in_order_and_what_is_missing_comes_last_either_way(rows, column, falls):
    found = sorted_rows(rows, f"-{column}" if falls else column)
    assert sorted(names(found)) == sorted(names(rows))
    values = {
        "sigma": lambda r: r.conductivity_300K_S_cm,
        "D_600K": lambda r: None,
        **COLUMNS,
    }[column]
    known = [values(r) for r in found if values(r) is not None]
    assert known == sorted(known, reverse=falls)
    missing = [values(r) is None for r in found]
    assert missing == sorted(missing)
    if column == "sigma":
        rest = [r.conductivity_300K_upper_bound_S_cm for r in found[len(known) :]]
        bounds = [b for b in rest if b is not None]
        assert bounds == sorted(bounds, reverse=falls)
        assert rest[: len(bounds)] == bounds
    else:
        unknown = [r.id for r in found if values(r) is None]
        assert unknown == [r.id for r in rows if r.id in unknown]


@given(rankings(), st.sampled_from([*COLUMNS, "sigma"]), st.booleans())
def test_what_is_alike_stays_in_the_order_of_the_ranking(rows, column, falls):
    alike = [r.model_copy(update={"id": f"c-{i}", "window_V": 1.0}) for i, r in enumerate(rows)]
    assert names(sorted_rows(alike, "-window" if falls else "window")) == names(alike)
    assert sorted_rows(rows, "") == sorted_rows(rows, None) == rows


def test_numbers_in_ids_are_numbers():
    rows = [row(f"KCl-a-{n}") for n in (10, 9, 1)]
    assert names(sorted_rows(rows, "id")) == ["KCl-a-1", "KCl-a-9", "KCl-a-10"]


@given(
    st.builds(
        RankingFilter,
        q=st.none() | st.text(min_size=1).map(str.strip).filter(bool),
        ion=st.none() | st.sampled_from(["K", "Li"]),
        state=st.none() | st.sampled_from(STATES),
        y=st.none() | st.sampled_from(["sigma", "D_600K", "D_873.15K"]),
        max_e_hull_meV=st.none() | st.integers(-1000, 1000).map(float),
        min_window_V=st.none() | st.integers(0, 1000).map(lambda n: n / 100),
        max_y=st.none() | st.integers(1, 99).map(lambda n: n * 1e-9),
        bounds=st.booleans(),
    )
)
def test_an_address_holds_the_whole_filter(wanted):
    assert RankingFilter.from_query(dict(wanted.query())) == wanted


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"min_window_V": "wide"}, "min_window_V=wide: needed is a number"),
        ({"max_y": "nan"}, "max_y=nan: needed is a number"),
        ({"state": "lost"}, "state=lost: needed is one of waiting"),
        ({"y": "D"}, "y=D: needed is sigma, or D_600K"),
        ({"y": "D_1234567K"}, "y=D_1234567K: needed is sigma, or D_600K"),
        ({"y": f"D_{'4' * 200}K"}, "needed is sigma, or D_600K"),
        ({"q": "a" * 257}, r"^q: at most 256 characters, not 257\.$"),
        ({"host": "a" * 30_000}, r"^host: at most 256 characters, not 30000\.$"),
        ({"bounds": "yes"}, "bounds=yes: needed is 1"),
    ],
)
def test_an_address_that_asks_for_what_there_is_not_says_what_there_is(query, said):
    with pytest.raises(InvalidInput, match=said):
        RankingFilter.from_query(query)


def test_an_unknown_column_is_named_with_those_that_there_are():
    with pytest.raises(InvalidInput, match=r"sort=colour: needed is one of rank, front"):
        sorted_rows([row()], "-colour")


ROWS = [
    row("K3InCl6-a-1", formula="K3InCl6", window_V=2.0, conductivity_300K_S_cm=1e-5),
    row("KTaCl6-b-1", formula="KTaCl6", host="k2ptcl6", e_hull_eV_per_atom=0.02, suspect=True),
    row("NaTaCl6-b-1", formula="NaTaCl6", mobile_ion="Na", state="failed", window_V=3.0),
    row("LiCl-c-1", formula="LiCl", mobile_ion="Li", state="rejected", e_hull_eV_per_atom=0.06),
    row("KCl-d-1", window_V=1.0, conductivity_300K_upper_bound_S_cm=1e-7),
]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"q": "Ta"}, [1, 2]),
        ({"q": "Ta, Na"}, [2]),
        ({"q": "I"}, []),  # iodine, not the first letter of indium
        ({"q": "tacl6-B"}, [1, 2]),
        ({"q": "K Cl In"}, [0]),
        ({"ion": "Li"}, [3]),
        ({"state": "suspect"}, [1]),
        ({"state": "done"}, [0, 1, 4]),
        ({"host": "k2ptcl6"}, [1]),
        ({"max_e_hull_meV": 50.0}, [1]),
        ({"min_window_V": 2.0}, [0, 2]),
        ({"min_window_V": 1.0, "max_window_V": 2.0}, [0, 4]),
        ({"max_y": 1e-6}, [4]),  # whatever it is, it is below its bound
        ({"min_y": 1e-8}, [0]),  # a bound may be of anything below it
        ({"min_y": 1e-8, "max_y": 1e-4}, [0]),
        ({"min_y": 1e-8, "max_y": 1e-4, "bounds": True}, [0, 4]),  # a box in the plot
        ({"min_y": 1e-6, "bounds": True}, [0]),
        ({"min_y": 1e-8, "max_y": 1e-4, "min_window_V": 1.5}, [0]),
        ({"min_y": 1e-12, "y": "D_600K"}, []),
    ],
)
def test_filters(asked, shown):
    wanted = RankingFilter(**asked)
    assert wanted.rows(ROWS, SIGMA) == [ROWS[i] for i in shown]
    assert wanted.is_open is (asked == {})


def test_a_box_is_cleared_without_the_rest():
    wanted = RankingFilter(ion="K", y="D_600K", min_window_V=1.0, max_y=1e-4)
    assert wanted.has_box
    assert replace(wanted, bounds=True).without_box() == wanted.without_box()
    assert not RankingFilter(bounds=True).has_box
    assert RankingFilter(bounds=True).is_open
    assert wanted.without_box() == RankingFilter(ion="K", y="D_600K")
    assert not wanted.without_box().has_box
    assert not replace(wanted, y=None).is_open


@given(st.none() | st.floats(0.5, 999_999).map(lambda kelvin: round(kelvin, 6)))
def test_quantities_have_names(kelvin):
    assert quantity_named(quantity_name(Quantity(kelvin))) == Quantity(kelvin)


def test_facts_count_what_there_is():
    rows = [*ROWS, row("x", diffusivity=(bound(800, 1e-6), bound(600, 1e-7))),
            row("y", lost_runs={"700": "RUN_EXPLODED"})]  # fmt: skip
    facts = RankingFacts.of(rows)
    assert facts.temperatures_K == (600, 700, 800)
    assert facts.ions == ("K", "Li", "Na")
    assert facts.hosts == (("k2ptcl6", 1), ("rocksalt", 6))
    assert facts.n_of_state == {"done": 5, "failed": 1, "rejected": 1, "suspect": 1}
    assert facts.best_known == SIGMA
