"""The figure shows the curves and the D of the document, and nothing else."""

import numpy as np
import pytest

from screening.transport.documents import Diffusivity, MsdCurve
from workflows.figures.msd import msd_figure

LAGS_PS = (0.0, 1.0, 3.0, 10.0)
CURVES = (
    MsdCurve(species="Cl", lag_ps=LAGS_PS, msd_A2=(0.0, 0.1, 0.1, 0.1)),
    MsdCurve(species="K", lag_ps=LAGS_PS, msd_A2=(0.0, 1.0, 2.0, 6.5)),
)


def diffusivity(**changes):
    values = {
        "D_cm2_s": 1e-5,
        "D_68_cm2_s": (9e-6, 1.1e-5),
        "diffusive_from_ps": 3.0,
        "msd": CURVES,
    }
    return Diffusivity(
        species="K", temperature_K=600, duration_ps=20, n_hops=50, **(values | changes)
    )


def test_curves_are_those_of_the_document_mobile_ion_first():
    (axes,) = msd_figure(diffusivity()).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    for line, curve in zip(axes.lines, CURVES[::-1], strict=False):
        assert line.get_label() == curve.species
        # a lag of nothing has no logarithm
        np.testing.assert_array_equal(line.get_xdata(), curve.lag_ps[1:])
        np.testing.assert_array_equal(line.get_ydata(), curve.msd_A2[1:])
    assert "ps" in axes.get_xlabel()
    assert "Å²" in axes.get_ylabel()


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({}, "="),
        ({"D_cm2_s": None, "D_68_cm2_s": None, "upper_bound_cm2_s": 1e-5, "reason": "few"}, "<"),
    ],
)
def test_the_fitted_region_is_shaded_and_the_line_is_that_of_the_fit(changes, sign):
    (axes,) = msd_figure(diffusivity(**changes)).axes
    (region,) = axes.patches
    assert (region.get_x(), region.get_x() + region.get_width()) == pytest.approx((3.0, 10.0))
    line = axes.lines[-1]
    assert line.get_label() == f"D {sign} 1.0e-05 cm²/s"
    assert line.get_linestyle() == ("--" if sign == "=" else ":")
    # 1e-5 cm²/s is 0.1 Å²/ps
    np.testing.assert_allclose(line.get_ydata(), 0.6 * np.array([3.0, 10.0]), rtol=1e-12)


def test_a_species_that_never_moves_has_no_curve():
    still = MsdCurve(species="Ta", lag_ps=LAGS_PS, msd_A2=(0.0, 0.0, 0.0, 0.0))
    (axes,) = msd_figure(diffusivity(msd=(*CURVES, still))).axes
    assert [line.get_label() for line in axes.lines[:-1]] == ["K", "Cl"]
