from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from screening.transport.sobol import MAX_AXES, sobol


@pytest.mark.parametrize("n_axes", range(1, MAX_AXES + 2))
@pytest.mark.parametrize("log2_n_points", [0, 1, 5, 12])
def test_the_points_are_those_of_an_independent_implementation(n_axes, log2_n_points):
    expected = qmc.Sobol(n_axes, scramble=False).random_base2(log2_n_points)
    np.testing.assert_array_equal(sobol(n_axes, log2_n_points), expected)


def test_each_interval_of_an_axis_has_as_many_points():
    places = np.floor(sobol(MAX_AXES, 8) * 256).astype(int)
    assert (np.sort(places, axis=0) == np.arange(256)[:, None]).all()
