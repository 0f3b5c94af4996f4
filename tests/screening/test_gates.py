from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.gates import Gates

finite = st.floats(-10, 10)


def test_open_gates_let_everything_pass():
    gates = Gates(max_e_hull_eV_per_atom=None)
    assert gates.first_broken({"e_hull_eV_per_atom": 99.0, "window_V": 0.0}) is None


@given(value=finite, threshold=st.floats(0, 10))
def test_a_gate_holds_exactly_up_to_its_threshold(value, threshold):
    broken = Gates(max_e_hull_eV_per_atom=threshold).first_broken({"e_hull_eV_per_atom": value})
    assert (broken is not None) == (value > threshold)
    broken = Gates(min_window_V=threshold).first_broken({"window_V": value})
    assert (broken is not None) == (value < threshold)


def test_a_rejection_keeps_gate_value_and_threshold():
    rejection = Gates(min_window_V=2.0).first_broken({"e_hull_eV_per_atom": 0.0, "window_V": 1.5})
    assert rejection is not None
    assert rejection.model_dump() == {"gate": "min_window_V", "value": 1.5, "threshold": 2.0}


def test_the_first_gate_in_order_is_named():
    gates = Gates(max_volume_change_percent=5, max_e_hull_eV_per_atom=0.01)
    broken = gates.first_broken({"e_hull_eV_per_atom": 1.0, "volume_change_percent": 50.0})
    assert broken is not None
    assert broken.gate == "max_volume_change_percent"


@pytest.mark.parametrize("value", [None])
def test_nobody_is_rejected_for_what_is_unknown(value):
    assert (
        Gates(min_conductivity_300K_S_cm=1e-3).first_broken({"conductivity_300K_S_cm": value})
        is None
    )


def test_nan_breaks_a_gate():
    assert Gates().first_broken({"e_hull_eV_per_atom": float("nan")}) is not None
