"""What has a place on both axes of the ranking, and on which axes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranked_rows import diffusivity, row

from workflows.pareto_points import Quantity, best_known_quantity, pareto_points


def test_only_what_has_both_is_a_point():
    rows = [
        row("both", 2.5, 1e-4),
        row("bound", 1.5, bound_S_cm=1e-6),
        row("no window", None, 1e-3),
        row("no conductivity", 3.0),
    ]
    found = pareto_points(rows)
    assert [point.id for point in found.points] == ["both", "bound"]
    assert found.n_without == 2
    both, bound = found.points
    assert (both.value, both.value_68, both.upper_bound) == (1e-4, (5e-5, 2e-4), None)
    assert (bound.value, bound.value_68, bound.upper_bound) == (None, None, 1e-6)
    assert (both.height, bound.height) == (1e-4, 1e-6)


def test_a_value_hides_the_bound_beside_it():
    (point,) = pareto_points([row("a", 2.0, 1e-4, bound_S_cm=1e-3)]).points
    assert point.upper_bound is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("a", sigma_S_cm=1e-4), row("b", bound_S_cm=1e-5)], Quantity()),
        ([row("a", bound_S_cm=1e-5)], Quantity()),
        # a value of D says more than a bound of σ that follows from it
        ([row("a", bound_S_cm=1, diffusivity=(diffusivity(600, 1e-6),))], Quantity(600)),
        ([row("a", diffusivity=(diffusivity(600, bound_cm2_s=1e-6),))], Quantity(600)),
        ([row("a")], None),
        ([], None),
    ],
)
def test_the_quantity_is_the_one_known_best(rows, expected):
    assert best_known_quantity(rows) == expected


def test_diffusivities_are_compared_at_the_temperature_that_most_share():
    rows = [
        row("a", diffusivity=(diffusivity(600, 1e-6), diffusivity(800, 1e-5))),
        row("b", diffusivity=(diffusivity(600, 2e-6), diffusivity(900, 1e-5))),
    ]
    found = pareto_points(rows)
    assert found.quantity == Quantity(600)
    assert [point.value for point in found.points] == [1e-6, 2e-6]
    assert found.quantity.axis_label == "D(600 K) (cm²/s)"
    assert found.quantity.column == "D_600K_cm2_s"
    explicit = pareto_points(rows, Quantity(900))
    assert [point.id for point in explicit.points] == ["b"]


def test_in_a_framework_that_moves_a_value_is_only_a_bound():
    molten = diffusivity(600, 1e-5, framework_moves=True)
    rows = [row("a", diffusivity=(molten,)), row("b", diffusivity=(diffusivity(600, 1e-6),))]
    first, _ = pareto_points(rows).points
    assert (first.value, first.upper_bound) == (None, 4e-5)


@given(
    st.lists(
        st.tuples(st.floats(0, 6), st.floats(1e-12, 1), st.integers(1, 2)), min_size=1, max_size=30
    )
)
def test_the_edge_is_what_nothing_of_the_first_front_exceeds_in_both(values):
    rows = [row(str(i), w, s, pareto_front=f) for i, (w, s, f) in enumerate(values)]
    found = pareto_points(rows)
    first = [point for point in found.points if point.front == 1]
    edge = found.edge
    for point in first:
        beaten = any(
            (other.window_V, other.height) != (point.window_V, point.height)
            and other.window_V >= point.window_V
            and other.height >= point.height
            for other in first
        )
        same = [(p.window_V, p.height) for p in edge]
        assert ((point.window_V, point.height) in same) is not beaten
    assert [p.window_V for p in edge] == sorted(p.window_V for p in edge)
    low, high = found.height_range
    assert high / low >= 99.999
    assert all(low < point.height < high for point in found.points)
