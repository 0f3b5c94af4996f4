"""The bar says with characters and words what the profile says with numbers."""

import io
import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from stability_data import profile, stability

from workflows.cli.voltage_bar import voltage_bar
from workflows.voltage_intervals import MAX_V, intervals


def text(assessed, width=80, **console):
    out = io.StringIO()
    Console(file=out, width=width, **console).print(voltage_bar(assessed, width))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_filled_part_is_the_window(width):
    axis, bar, *_ = text(stability(), width).splitlines()
    zero, six = axis.index("0"), axis.index("6")
    volts_a_cell = MAX_V / (six - zero)
    filled = [i for i, character in enumerate(bar) if character == "█"]
    assert (filled[0] - zero) * volts_a_cell == pytest.approx(2.334, abs=volts_a_cell)
    assert (filled[-1] + 1 - zero) * volts_a_cell == pytest.approx(4.855, abs=volts_a_cell)
    assert len(bar.rstrip()) == six - zero


def test_every_interval_is_named_without_colour():
    _, bar, *legend = text(stability()).splitlines()
    assert re.findall(r"[a-z]", bar) == ["a", "b", "c", "d"]
    assert [line.rstrip() for line in legend] == [
        " a  0.00–1.30 V   6 KCl + Ta",
        " b  1.30–2.33 V   0.333 K2Ta3Cl9 + 0.333 KCl",
        "█c  2.33–4.86 V   KTaCl6, its own window",
        " d  above 4.86 V  TaCl5 + 0.5 Cl2",
    ]


def test_no_window_fills_nothing():
    shown = text(stability(equilibrium=(2.334, 2.334), own=(3, 2), of="equilibrium"))
    assert "█" not in shown
    assert "window" not in shown


def test_the_window_of_a_metastable_candidate_has_a_line_of_its_own():
    _, bar, own, *legend = text(stability(own=(1.5, 4.5), of="equilibrium")).splitlines()
    assert own.index("╌") == pytest.approx(77 * 1.5 / MAX_V, abs=1)
    assert own.count("╌") == pytest.approx(77 * 3.0 / MAX_V, abs=1)
    assert "█" in bar
    assert legend[-1].rstrip() == "╌╌  1.50–4.50 V   the metastable candidate itself"


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    green = re.compile(r"\x1b\[(1;)?32m")
    assert green.search(text(stability(), force_terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", text(stability(), force_terminal=True))


POTENTIALS_V = st.lists(
    st.floats(0, 9).map(lambda v: round(v, 3)), unique=True, min_size=0, max_size=40
)


@given(POTENTIALS_V, st.integers(40, 200))
def test_it_fits_and_leaves_out_nothing(steps_V, width):
    steps = {v: {f"K{i}Cl{i + 1}": 1.0} for i, v in enumerate(steps_V, 1)}
    parts = intervals(profile(steps))
    assert (parts[0].low_V, parts[-1].high_V) == (0, math.inf)
    assert all(low.high_V == high.low_V for low, high in pairwise(parts))
    shown = text(stability(steps), width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    for interval in parts:
        assert all(formula in shown for formula in interval.products)
