"""The plots show what the report holds."""

import numpy as np
import pytest

from screening.disorder.documents import (
    Coordination,
    DisorderReport,
    FirstShell,
    PartialRdf,
    SymmetryMeasure,
)
from workflows.figures.disorder import comparison_figures, disorder_figures
from workflows.figures.style import save

R_A = tuple(np.arange(0.5, 8, 1.0))
SHELL = FirstShell(peak_A=2.4, minimum_A=3.5, g_at_minimum=0.0, coordination_number=6.0)


def rdf(centre, neighbour, shell=None):
    return PartialRdf(
        centre=centre,
        neighbour=neighbour,
        n_centres=4,
        n_neighbours=24,
        g=tuple(np.linspace(0, 2, len(R_A))),
        running_number=tuple(np.linspace(0, 20, len(R_A))),
        shell=shell,
        no_shell=None if shell else "g(r) has no peak",
    )


def a_report(symmetry=True):
    measure = SymmetryMeasure(
        centre="Ta",
        neighbours=("Cl",),
        share_of_six=0.8,
        n_centres=4,
        n_values=100,
        mean=1.5,
        standard_deviation=0.5,
        median=1.4,
        quantiles_05_95=(0.5, 3.0),
        bin_width=0.5,
        density=(0.5, 1.0, 0.5),
    )
    shells = Coordination(
        centre="Ta",
        neighbours=("Cl",),
        cutoffs_A=(3.5,),
        mean=5.8,
        numbers=(5, 6),
        shares=(0.2, 0.8),
    )
    return DisorderReport(
        mobile_ion="K",
        n_frames=10,
        n_atoms=36,
        volume_A3=1000.0,
        half_width_A=5.0,
        r_A=R_A,
        rdfs=(rdf("K", "Ta"), rdf("Ta", "Cl", SHELL), rdf("Cl", "Cl")),
        coordination=(shells,) if symmetry else (),
        symmetry=(measure,) if symmetry else (),
    )


def test_one_run(tmp_path):
    figures = disorder_figures(a_report())
    assert set(figures) == {"rdf", "coordination", "symmetry"}
    panels = [axes for axes in figures["rdf"].axes if "g(r)" in axes.get_ylabel()]
    assert [axes.get_ylabel() for axes in panels] == [
        "Ta around K, g(r)",
        "Cl around Ta, g(r)",
        "Cl around Cl, g(r)",
    ]
    curve = next(line for line in panels[1].lines if len(line.get_xdata()) == len(R_A))
    np.testing.assert_array_equal(curve.get_ydata(), a_report().rdfs[1].g)
    assert any(line.get_xdata()[0] == SHELL.minimum_A for line in panels[1].lines)
    (shares,) = figures["coordination"].axes[0].lines
    np.testing.assert_array_equal(shares.get_ydata(), [0.2, 0.8])
    legend = figures["symmetry"].axes[0].get_legend().get_texts()[0].get_text()
    assert "mean 1.50" in legend
    assert "80 % six-fold" in legend
    assert all(path.stat().st_size > 1000 for path in save(figures["rdf"], tmp_path, "rdf"))


def test_what_is_not_there_is_not_drawn():
    assert set(disorder_figures(a_report(symmetry=False))) == {"rdf"}


@pytest.mark.parametrize("symmetry", [True, False])
def test_runs_side_by_side(symmetry):
    figures = comparison_figures({"crystal": a_report(symmetry), "glass": a_report(symmetry)})
    assert set(figures) == ({"rdf", "symmetry"} if symmetry else {"rdf"})
    texts = [text.get_text() for text in figures["rdf"].axes[0].get_legend().get_texts()]
    assert texts == ["crystal", "glass"]
    assert "n(r)" not in [axes.get_ylabel() for axes in figures["rdf"].axes]
