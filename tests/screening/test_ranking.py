from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.documents import CandidateInfo, Failure, Origin, Rejection, StageDocument
from screening.gates import Gates
from screening.ranked import RankedCandidate
from screening.ranking import rank, summarise
from screening.stability.documents import (
    Guard,
    Limit,
    Stability,
    StabilityDocument,
    VoltageProfile,
    Window,
)
from screening.transport.documents import (
    Arrhenius,
    Diffusivity,
    Equilibration,
    MsdCurve,
    PrincipalDiffusivity,
    Transport,
    TransportDocument,
)

ORIGIN = Origin(
    host="k2ptcl6",
    source="test",
    parent_formula="K2TaCl6",
    ordering=1,
    n_orderings=6,
    degeneracy=24,
    n_configurations=70,
)
INFO = CandidateInfo(id="a", formula="KTaCl6", mobile_ion="K", origin=ORIGIN)
DONE = StageDocument(state="done")
FAILED = StageDocument(state="failed", failure=Failure(code="NOT_CONVERGED", message="no"))


def value(low, high, temperature_K=900.0):
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=10,
        n_hops=20,
        D_cm2_s=(low + high) / 2,
        D_68_cm2_s=(low, high),
        D_95_cm2_s=(low / 2, high * 2),
    )


def bound(high, temperature_K=900.0):
    return Diffusivity(
        species="K",
        temperature_K=temperature_K,
        duration_ps=1,
        n_hops=0,
        upper_bound_cm2_s=high,
        reason="too short",
    )


def row(identifier, window_V, diffusivity, e_hull=0.0, state="done", **fields):
    return RankedCandidate(
        rank=None,
        id=identifier,
        formula="KTaCl6",
        mobile_ion="K",
        state=state,
        stage="transport",
        engine="chgnet",
        host="k2ptcl6",
        degeneracy=1,
        e_hull_eV_per_atom=e_hull,
        window_V=window_V,
        diffusivity=(diffusivity,) if diffusivity else (),
        **fields,
    )


def stability(e_hull=0.0, reduction=2.0, oxidation=4.5, guards=(), interval_V=None):
    def limit(potential_V, *products):
        interval = interval_V and (potential_V - interval_V, potential_V + interval_V)
        return Limit(
            potential_V=potential_V, potential_68_V=interval, products=products, reaction=""
        )

    window = Window(
        reduction=limit(reduction, "KCl"),
        oxidation=limit(oxidation, "TaCl5", "Cl2"),
        width_68_V=interval_V
        and (oxidation - reduction - interval_V, oxidation - reduction + interval_V),
    )
    return StabilityDocument(
        state="done",
        result=Stability(
            formation_energy_eV_per_atom=-2.0,
            e_hull_eV_per_atom=e_hull,
            energy_below_competitors_eV_per_atom=0.05,
            decomposition={"KTaCl6": 1.0},
            candidate_window=window,
            equilibrium_window=window,
            window_of="candidate",
            profile=VoltageProfile(
                oxidized={},
                steps=(),
                decomposition_potentials_V=(),
                decomposition_energies_eV_per_atom=(),
            ),
            guards=guards,
            references_sha256="0" * 64,
            caveats=("a caveat",),
        ),
    )


def transport(*diffusivities, **arrhenius):
    return TransportDocument(
        state="done",
        result=Transport(diffusivities=diffusivities, arrhenius=Arrhenius(**arrhenius)),
    )


def test_what_beats_another_in_both_axes_for_certain_comes_first():
    better = row("z", 3.0, value(2e-5, 3e-5))
    worse = row("a", 2.0, value(1e-6, 2e-6))
    assert [(r.id, r.rank, r.pareto_front) for r in rank([worse, better])] == [
        ("z", 1, 1),
        ("a", 2, 2),
    ]


def test_overlapping_intervals_share_a_front():
    rows = rank([row("a", 2.0, value(1e-6, 2.5e-5)), row("b", 3.0, value(2e-5, 3e-5))])
    assert [(r.id, r.pareto_front) for r in rows] == [("b", 1), ("a", 1)]


def test_an_upper_bound_is_an_interval_from_zero():
    fast = row("fast", 3.0, value(2e-5, 3e-5))
    slow, unknown = row("slow", 2.0, bound(1e-5)), row("unknown", 2.0, bound(1e-4))
    fronts = {r.id: r.pareto_front for r in rank([slow, unknown, fast])}
    assert fronts == {"fast": 1, "unknown": 1, "slow": 2}


def test_a_melt_does_not_beat_a_crystal():
    melted = value(9e-5, 1.1e-4).model_copy(update={"framework_moves": True})
    rows = [row("melted", 2.5, melted), row("solid", 2.4, value(1e-5, 2e-5))]
    assert {r.id: r.pareto_front for r in rank(rows)} == {"melted": 1, "solid": 1}


def interval(least, most):
    """Ends of an interval; few distinct numbers, so that ends of several often coincide."""
    number = st.floats(least, most) | st.sampled_from([least, (least + most) / 2, most])
    return st.tuples(number, number).map(sorted)


finished = st.lists(
    st.tuples(interval(0, 5), st.booleans(), interval(1e-8, 1e-4) | st.none()), max_size=14
)


@given(finished)
def test_fronts_agree_with_the_definition(values):
    """Front 1: placed behind nobody; front n: longest chain of rows placed behind each other."""
    rows = [
        row(
            str(i),
            sum(width_V) / 2,
            value(*diffusivity) if diffusivity else None,
            window_68_V=tuple(width_V) if known else None,
        )
        for i, (width_V, known, diffusivity) in enumerate(values)
    ]

    def ends(r):
        low, high = r.diffusivity[0].D_68_cm2_s if r.diffusivity else (0.0, float("inf"))
        return low, high, *(r.window_68_V or (r.window_V, r.window_V))

    def puts_behind(a, b):
        low, _, _, widest_V = ends(a)
        _, high, narrowest_V, _ = ends(b)
        return low > high and not narrowest_V > widest_V

    def front(candidate):
        return 1 + max((front(o) for o in rows if puts_behind(o, candidate)), default=0)

    ranked = rank(rows)
    assert {r.id: r.pareto_front for r in ranked} == {r.id: front(r) for r in rows}
    assert [r.rank for r in ranked] == list(range(1, len(rows) + 1))
    assert [r.pareto_front for r in ranked] == sorted(r.pareto_front for r in ranked)


def test_windows_that_may_be_as_wide_do_not_save_a_slow_candidate():
    fast = row("fast", 2.4, value(2e-5, 3e-5), window_68_V=(2.2, 2.6))
    slow = row("slow", 2.5, value(1e-6, 2e-6), window_68_V=(2.3, 2.7))
    wide = row("wide", 3.0, value(1e-6, 2e-6), window_68_V=(2.8, 3.2))
    fronts = {r.id: r.pareto_front for r in rank([slow, wide, fast])}
    assert fronts == {"fast": 1, "slow": 2, "wide": 1}


def test_without_dynamics_the_windows_alone_decide():
    rows = rank([row("narrow", 1.0, None), row("wide", 3.0, None), row("same", 3.0, None, 0.01)])
    assert [(r.id, r.rank, r.pareto_front) for r in rows] == [
        ("wide", 1, 1),
        ("same", 2, 1),
        ("narrow", 3, 1),
    ]


def test_a_suspect_candidate_leads_no_list():
    suspect = row("suspect", 5.0, value(1e-4, 2e-4), suspect=True)
    sound = row("sound", 1.0, value(1e-6, 2e-6))
    rejected = row("rejected", 1.0, None, state="rejected")
    made = rank([suspect, rejected, sound])
    assert [(r.id, r.rank, r.pareto_front) for r in made] == [
        ("sound", 1, 1),
        ("suspect", None, None),
        ("rejected", None, None),
    ]


def test_ten_thousand_rows_are_ranked_in_the_time_of_a_sort():
    rng = np.random.default_rng(0)
    lows = 10 ** rng.uniform(-8, -4, 10_000)
    widths_V = rng.uniform(0, 5, 10_000)
    rows = [
        row(str(i), w, value(low, 1.001 * low), window_68_V=(w - 0.1, w + 0.1))
        for i, (low, w) in enumerate(zip(lows, widths_V, strict=True))
    ]
    start_s = time.perf_counter()
    ranked = rank(rows)
    elapsed_s = time.perf_counter() - start_s
    assert max(r.pareto_front for r in ranked) > 100
    assert elapsed_s < 2  # all pairs would be a hundred million


@given(st.permutations(range(6)))
def test_order_of_input_does_not_matter(order):
    rows = [row(str(i), 2.0 + i % 3, value(1e-6 * (i + 1), 2e-6 * (i + 1))) for i in range(6)]
    assert rank([rows[i] for i in order]) == rank(rows)


def test_unfinished_rejected_and_failed_follow_unranked():
    states = ("failed", "rejected", "done", "waiting", "running")
    ranked = rank(row(state, 2.0, bound(1e-5), state=state) for state in states)
    assert [r.id for r in ranked] == ["done", "running", "waiting", "rejected", "failed"]
    assert [r.rank for r in ranked] == [1, None, None, None, None]


def test_summary_of_a_finished_candidate():
    made = summarise(
        INFO,
        "chgnet",
        Gates(),
        DONE,
        stability(),
        transport(value(1e-5, 2e-5), conductivity_300K_S_cm=1e-4, activation_energy_eV=0.4),
    )
    assert (made.state, made.window_V) == ("done", 2.5)
    assert made.conductivity_300K_S_cm == pytest.approx(1e-4, abs=0)
    assert made.reduction_products == ("KCl",)
    assert made.reduction_limit_68_V is made.window_68_V is None
    assert not made.suspect


def test_intervals_and_failed_guards_reach_the_summary():
    guards = (
        Guard(name="depth", passed=False, message="60 meV/atom below the hull"),
        Guard(name="metal", passed=True, message="fine"),
    )
    document = stability(guards=guards, interval_V=0.125)
    made = summarise(INFO, "chgnet", Gates(), DONE, document, DONE, last_stage="gates")
    assert (made.state, made.stage, made.suspect) == ("done", "gates", True)
    assert made.reduction_limit_68_V == (1.875, 2.125)
    assert made.oxidation_limit_68_V == (4.375, 4.625)
    assert made.window_68_V == (2.375, 2.625)
    assert made.caveats == ("60 meV/atom below the hull", "a caveat")


@pytest.mark.parametrize(
    ("documents", "state", "stage"),
    [
        ((None, None, None), "waiting", "relax"),
        ((DONE, None, None), "waiting", "stability"),
        ((FAILED, None, None), "failed", "relax"),
        (
            (FAILED, StabilityDocument(state="skipped"), TransportDocument(state="skipped")),
            "failed",
            "relax",
        ),
        ((DONE, FAILED, None), "failed", "stability"),
        ((DONE, stability(), None), "waiting", "transport"),
        (
            (
                DONE,
                stability(0.2),
                TransportDocument(
                    state="rejected",
                    rejection=Rejection(gate="max_e_hull_eV_per_atom", value=0.2, threshold=0.05),
                ),
            ),
            "rejected",
            "transport",
        ),
    ],
)
def test_state_is_that_of_the_first_stage_that_is_not_done(documents, state, stage):
    made = summarise(INFO, "chgnet", Gates(), *documents)
    assert (made.state, made.stage) == (state, stage)


def test_details_of_a_diffusivity_stay_in_its_document():
    axis = PrincipalDiffusivity(
        axis=(1, 0, 0), D_cm2_s=1e-6, D_68_cm2_s=(1e-7, 2e-6), upper_bound_cm2_s=None
    )
    full = value(1e-6, 3e-6).model_copy(
        update={
            "principal": (axis,),
            "equilibration": Equilibration(cut_ps=1.0, test="t"),
            "msd": (MsdCurve(species="K", lag_ps=(1.0,), msd_A2=(2.0,)),),
        }
    )
    made = summarise(INFO, "chgnet", Gates(), DONE, stability(), transport(full))
    assert made.diffusivity == (value(1e-6, 3e-6),)


def test_rows_that_have_ranks_are_ranked_by_their_values_alone():
    rows = [
        row(name, window_V, value(1e-6, 2e-6))
        for name, window_V in zip("abc", (3, 1, 2), strict=True)
    ]
    ranked = rank(rows)
    assert [made.id for made in ranked] == ["a", "c", "b"]
    assert rank(ranked) == ranked
    assert rank(ranked)[0] is ranked[0]  # what has its place is not copied
    assert rank(ranked[1:]) == rank(rows[1:])


def test_gate_after_transport_rejects_with_value_and_threshold():
    slow = transport(value(1e-9, 2e-9), conductivity_300K_S_cm=1e-9)
    made = summarise(
        INFO, "chgnet", Gates(min_conductivity_300K_S_cm=1e-6), DONE, stability(), slow
    )
    assert made.state == "rejected"
    assert made.rejection == Rejection(
        gate="min_conductivity_300K_S_cm", value=1e-9, threshold=1e-6
    )


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((value(1e-7, 3e-7, 600.0), value(1e-6, 3e-6)), 2e-7),
        ((bound(4e-7, 600.0), value(1e-6, 3e-6)), 4e-7),
        ((bound(4e-7),), 4e-7),
    ],
)
def test_the_gate_on_diffusivity_asks_for_the_smallest_of_all_temperatures(entries, found):
    """D grows with temperature, so that a bound at any of them holds below it as well."""
    documents = DONE, stability(), transport(*entries)
    made = summarise(INFO, "chgnet", Gates(min_diffusivity_cm2_s=1e-6), *documents)
    assert made.rejection.gate == "min_diffusivity_cm2_s"
    assert made.rejection.value == pytest.approx(found, rel=1e-9, abs=0)
    made = summarise(INFO, "chgnet", Gates(min_diffusivity_cm2_s=1e-7), *documents)
    assert made.state == "done"


def test_no_gate_rejects_for_the_diffusivity_of_a_melt():
    melt = bound(1e-9).model_copy(update={"framework_moves": True})
    gates = Gates(min_diffusivity_cm2_s=1e-6)
    assert summarise(INFO, "chgnet", gates, DONE, stability(), transport(melt)).state == "done"


def test_an_upper_bound_on_the_conductivity_rejects_like_a_value():
    gates = Gates(min_conductivity_300K_S_cm=1e-4)
    for bound_S_cm, state in ((1e-5, "rejected"), (1e-3, "done")):
        still = transport(bound(1e-9), conductivity_300K_upper_bound_S_cm=bound_S_cm)
        assert summarise(INFO, "chgnet", gates, DONE, stability(), still).state == state


def test_states_and_contents_must_agree():
    for state, contents in itertools.product(("failed", "rejected"), ({},)):
        with pytest.raises(ValueError, match=f"a {state} stage"):
            StageDocument(state=state, **contents)
    with pytest.raises(ValueError, match="a done stage"):
        StabilityDocument(state="done")
