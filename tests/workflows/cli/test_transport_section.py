"""What `show` says of transport: every number with its interval, and why where there is none."""

from __future__ import annotations

import io

import pytest
from arrhenius_data import TEMPERATURES_K, bound, law, melted, value
from rich.console import Console

from screening.documents import Failure
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import RunEnd, Transport
from workflows.cli.transport_section import diffusivity, power, transport_sections


def printed(entries, **changes):
    answer = Transport(
        diffusivities=tuple(entries),
        arrhenius=fit_arrhenius(entries, n_mobile=4, volume_A3=1000.0),
        **changes,
    )
    console = Console(width=200, file=io.StringIO())
    for section in transport_sections(answer):
        console.print(section)
    return console.file.getvalue()


def test_the_law_with_all_its_intervals_and_conventions():
    text = printed([value(t, law(t)) for t in TEMPERATURES_K])
    for expected in (
        "Ea of ln D and ln(σT)  0.350 eV (68 %: 0.33",
        "Ea of ln σ             0.28",
        "D0                     1.0e-3 cm²/s (68 %:",
        "correlation of ln D0 with Ea 0.98",
        "D(300 K)               1.3e-9 cm²/s (68 %:",
        "S/cm (68 %:",
        "mS/cm (68 %:",
        "n = 4.0e+21 cm⁻³, z = 1; σ = n z² e² D / (kB T)",
        "one law                yes: ln D lies on a line",
    ):
        assert expected in text
    assert "note" not in text


def test_each_run_with_its_end_and_what_is_wrong_with_it():
    entries = [bound(500.0), value(600.0, 1e-6), melted(value(900.0, 1e-4))]
    entries[1] = entries[1].model_copy(
        update={"dimensionality": 1, "haven_ratio": 0.5, "haven_ratio_68": (0.4, 0.7)}
    )
    text = printed(
        entries,
        failures={"1200": Failure(code="RUN_EXPLODED", message="gone")},
        ends={"600": RunEnd(outcome="converged", message="D is known to 10%")},
    )
    assert "D < 1.0e-7 cm²/s" in text
    assert "0.0 hops" in text
    assert "D 1.0e-6 (9.0e-7…1.1e-6) cm²/s, 95 %: 8.2e-7…1.2e-6" in text
    assert "in 1 dimension, Haven ratio 0.50 (0.40…0.70)" in text
    assert "ended, converged: D is known to 10%" in text
    assert "1.0e-4 (9.0e-5…1.1e-4)† cm²/s" in text
    assert "1200 K  RUN_EXPLODED: gone" in text
    assert "note" in text
    assert "1 of 3 temperatures carry a diffusivity (not counting 900 K" in text
    assert "σ(300 K), 95 %" in text
    assert "< 2.5e-3 S/cm = 2.5 mS/cm; D(300 K) < 1.0e-7 cm²/s" in text
    assert "Ea" not in text


def test_a_broken_law_is_said_loudly():
    jump = [value(t, law(t) * (30 if t > 750 else 1)) for t in TEMPERATURES_K]
    assert "NO: ln D lies on no line" in printed(jump)


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (1.24e-5, "1.2e-5"), (3e21, "3.0e+21"), (2e-12, "2.0e-12")]
)
def test_powers_are_short(number, text):
    assert power(number) == text


def test_a_bound_and_a_moving_framework_are_marked():
    assert diffusivity(bound(600.0, 6.2e-5)) == "< 6.2e-5"
    assert diffusivity(bound(600.0, 1.919e-5)) == "< 2.0e-5"  # rounded up
    assert diffusivity(melted(value(600.0, 1e-5))).endswith("†")
