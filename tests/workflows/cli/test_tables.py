from __future__ import annotations

import io

import pytest
from rich.console import Console

from screening.documents import Rejection
from screening.gates import Gates
from screening.ranked import RankedCandidate
from screening.transport.documents import Diffusivity
from workflows.cli.stability_sections import section
from workflows.cli.tables import ranking_notes, ranking_table

BOUND = Diffusivity(
    species="K",
    temperature_K=600,
    duration_ps=6,
    n_hops=1,
    upper_bound_cm2_s=6.2e-5,
    reason="too short",
)
MELT = Diffusivity(
    species="K",
    temperature_K=800,
    duration_ps=6,
    n_hops=20,
    D_cm2_s=1.6e-4,
    D_68_cm2_s=(1.3e-4, 2.0e-4),
    D_95_cm2_s=(1.0e-4, 2.5e-4),
    framework_moves=True,
)


def row(**changes):
    values = {
        "rank": 1,
        "id": "KTaCl6-k2ptcl6-1",
        "formula": "KTaCl6",
        "mobile_ion": "K",
        "state": "done",
        "stage": "transport",
        "engine": "chgnet",
        "host": "k2ptcl6",
        "degeneracy": 2,
        "e_hull_eV_per_atom": 0.0042,
        "reduction_limit_V": 2.34,
        "oxidation_limit_V": 4.85,
        "window_of": "equilibrium",
        "reduction_products": ("KCl",),
        "oxidation_products": ("TaCl5",),
        "diffusivity": (BOUND, MELT),
    }
    return RankedCandidate(**{**values, **changes})


def printed(rows, width):
    console = Console(width=width, file=io.StringIO())
    console.print(ranking_table(rows, width))
    return console.file.getvalue()


def test_values_bounds_and_marks():
    text = printed([row()], 80)
    assert "2.34–4.85*" in text
    assert "600 K: < 6.2e-5" in text
    assert "800 K: 1.6e-4 (1.3e-4…2.0e-4)†" in text
    notes = ranking_notes([row()])
    assert all(mark in notes for mark in ("* metastable", "† the framework", "< upper bound"))


def test_the_interval_of_a_window_and_a_suspect_candidate_are_marked():
    rows = [row(window_68_V=(2.31, 2.71)), row(rank=None, id="odd", suspect=True)]
    text = printed(rows, 80)
    assert "(2.3…2.7)" in text
    assert "odd ?" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "2.34–4.85* (2.3…2.7)" in printed(rows, 140)
    rejection = Rejection(gate="min_window_V", value=0.2, threshold=1)
    rejected = [row(window_68_V=(2.31, 2.71), state="rejected", rejection=rejection)]
    assert "(2.3…2.7)" not in printed(rejected, 80)  # their reason needs the room
    assert "(2.3…2.7)" in printed(rejected, 140)
    notes = ranking_notes(rows)
    assert "(…) 68 % interval" in notes
    assert "? suspect" in notes


def test_the_caveats_of_most_candidates_are_shown_and_the_others_counted():
    rows = [row(caveats=("of all", f"of {i} alone")) for i in range(20)]
    notes = ranking_notes(rows).splitlines()
    assert "of all" in notes
    assert sum("alone" in note for note in notes) == 7
    assert any(note.startswith("and 13 more caveats") for note in notes)
    assert "of all" not in ranking_notes([row(rank=None, caveats=("of all",))])


def test_a_campaign_without_dynamics_says_so_in_every_row():
    text = printed([row(diffusivity=(), stage="gates")], 80)
    assert "done: no dynamics" in text
    assert "suspect" in printed([row(diffusivity=(), suspect=True, rank=None)], 80)


def test_products_show_where_they_fit():
    assert "KCl / TaCl5" not in printed([row()], 80)
    assert "KCl / TaCl5" in printed([row()], 140)


@pytest.mark.parametrize("gate", Gates.model_fields)
def test_every_gate_reads_with_its_unit(gate):
    rejection = Rejection(gate=gate, value=0.02, threshold=0.01)
    text = printed([row(rank=None, state="rejected", rejection=rejection)], 120)
    assert "rejected: " in text
    units = ("20 meV", "0.02 V", "0.02 %", "0.02 S/cm", "0.02 cm²/s")
    assert any(unit in text for unit in units)


def test_a_title_in_brackets_is_no_markup():
    console = Console(width=80, file=io.StringIO())
    console.print(section("a [b].cif", {"steps": "1"}))
    assert "a [b].cif" in console.file.getvalue()


def test_conductivity_comes_with_its_interval_or_as_a_bound():
    rows = [
        row(conductivity_300K_S_cm=1.2e-5, conductivity_300K_68_S_cm=(4e-6, 3e-5)),
        row(id="bent", conductivity_300K_S_cm=2.2e-7, one_arrhenius_law=False),
        row(id="slow", conductivity_300K_upper_bound_S_cm=3.1e-8),
    ]
    narrow, wide = printed(rows, 80), printed(rows, 140)
    assert max(map(len, narrow.splitlines())) <= 80
    for text in ("1.2e-5", "2.2e-7‡", "< 3.1e-8"):
        assert text in narrow
        assert text in wide
    assert "4.0e-6…3.0e-5" in wide
    assert "4.0e-6" not in narrow
    assert "‡ D follows no single Arrhenius law" in ranking_notes(rows)
    assert "‡" not in ranking_notes(rows[:1])
    assert "σ(300 K)" not in printed([row()], 80)
