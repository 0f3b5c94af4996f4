"""Lowest energies along a line of compositions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from screening.stability.mixing import NO_AMOUNT, Phases

A, B = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def binary(shares, costs_eV):
    """Phases between A (share 0) and B (share 1)."""
    shares = np.asarray(shares, dtype=float)
    return Phases(np.column_stack([1 - shares, shares]), np.asarray(costs_eV, dtype=float))


def test_products_that_change_without_a_bend_are_no_kink():
    """Phases on one tie line: any two of them have the energy of any others."""
    shares = np.linspace(0, 1, 13)
    bend = 0.5
    costs_eV = np.maximum(-shares, -1 + shares)  # lowest at the bend, linear on both sides
    kinks = binary(shares, costs_eV).kinks(A, B)
    assert [x for x, _ in kinks] == pytest.approx([0, bend, 1])
    (_, amounts) = kinks[1]
    assert amounts @ costs_eV == pytest.approx(-0.5)


@given(
    points=st.lists(
        st.tuples(st.integers(1, 99), st.integers(1, 1000)), min_size=1, max_size=30, unique=True
    )
)
@settings(max_examples=50, deadline=None)
def test_a_binary_line_has_the_corners_of_its_convex_hull(points):
    """The lower hull of points in a plane, by another algorithm."""
    shares = np.array([0.0, 1.0, *(share / 100 for share, _ in points)])
    costs_eV = np.array([0.0, 0.0, *(-cost / 1000 for _, cost in points)])
    kinks = binary(shares, costs_eV).kinks(A, B)
    plane = np.column_stack([shares, costs_eV])
    hull = ConvexHull(np.vstack([plane, [0.5, 1.0]]))  # closed on top
    lower = plane[np.unique(hull.simplices[hull.equations[:, 1] < -1e-9])]
    lower = lower[np.argsort(lower[:, 0])]
    x = np.array([x for x, _ in kinks])
    energies_eV = np.array([amounts @ costs_eV for _, amounts in kinks])
    np.testing.assert_allclose(np.interp(x, *lower.T), energies_eV, atol=1e-9)
    assert len(kinks) <= len(lower)


@given(x=st.floats(0, 1))
def test_amounts_at_one_composition(x):
    phases = binary([0, 0.25, 0.5, 1], [0, -1, -1.5, 0])
    amounts = phases.amounts_at((1 - x) * A + x * B)
    assert amounts @ phases.compositions == pytest.approx([1 - x, x], abs=NO_AMOUNT)
    assert amounts @ phases.costs_eV == pytest.approx(
        np.interp(x, [0, 0.25, 0.5, 1], [0, -1, -1.5, 0]), abs=1e-8
    )


def test_a_line_of_no_length():
    phases = binary([0, 0.5, 1], [0, -1, 0])
    kinks = phases.kinks(A, A)
    assert [x for x, _ in kinks] == [0, 1]
