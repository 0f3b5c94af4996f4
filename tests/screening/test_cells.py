"""Widths of cells against areas and volumes."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from screening.cells import perpendicular_widths_A

HUNDREDTHS = st.integers(-1000, 1000).map(lambda n: n / 100)  # no lengths that numpy cannot divide


@given(cell_A=arrays(float, (3, 3), elements=HUNDREDTHS))
def test_a_width_is_the_volume_over_the_area_of_the_face(cell_A):
    volume_A3 = abs(np.linalg.det(cell_A))
    assume(volume_A3 > 1)
    a_A, b_A, c_A = cell_A
    faces_A2 = [np.linalg.norm(np.cross(*pair)) for pair in ((b_A, c_A), (c_A, a_A), (a_A, b_A))]
    np.testing.assert_allclose(
        perpendicular_widths_A(cell_A), volume_A3 / np.array(faces_A2), rtol=1e-9
    )
