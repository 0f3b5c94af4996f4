"""How numbers are written: few digits, and never more than is known."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.rounding import rounded_up
from workflows.words import formula, lowered, number, number_above, scientific, scientific_above


@pytest.mark.parametrize(
    ("bound", "plain", "html"),
    [
        (1.919e-5, "1.92 × 10⁻⁵", "2.0 × 10<sup>−5</sup>"),
        (3.4409, "3.45", "3.5"),
        (0.8018, "0.802", "0.81"),
        (9.99e-5, "9.99 × 10⁻⁵", "1.0 × 10<sup>−4</sup>"),
        (3.4e-5, "3.40 × 10⁻⁵", "3.4 × 10<sup>−5</sup>"),  # as it is
        (None, "–", "–"),
    ],
)
def test_bounds_are_rounded_up(bound, plain, html):
    assert number_above(bound) == plain
    assert scientific_above(bound) == html


@given(st.floats(1e-30, 1e30), st.integers(1, 6))
def test_what_is_rounded_up_is_the_next_of_so_many_digits(value, digits):
    up = rounded_up(value, digits)
    assert up >= value * (1 - 1e-11)
    assert Decimal(f"{up:.{digits - 1}e}") == Decimal(repr(up))
    assert up - value <= 10 ** (math.floor(math.log10(value)) - digits + 1) * (1 + 1e-9)
    assert rounded_up(up, digits) == up


def test_noise_of_arithmetic_is_no_digit():
    assert rounded_up(math.exp(math.log(1e-7)), 2) == 1e-7
    assert rounded_up(1000 * 0.0023, 2) == 2.3
    assert rounded_up(math.inf, 2) == math.inf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5000.0, "5000"),
        (1234.0, "1230"),
        (-12.345, "−12.3"),
        (9999.0, "1.00 × 10⁴"),
        (7.59e-5, "7.59 × 10⁻⁵"),
        (0.0, "0"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_formulas_are_one_in_pages_and_plots():
    assert formula("K2TaCl6 & <b>") == "K<sub>2</sub>TaCl<sub>6</sub> &amp; &lt;b&gt;"
    assert formula("K0.45MnO2") == lowered("K0.45MnO2")
    assert scientific(12345.0) == "1.2 × 10<sup>4</sup>"


def test_the_report_and_the_plots_need_no_server():
    modules = "workflows.report.page, workflows.dashboard.plots.pareto, workflows.words"
    code = f"import sys, {modules}; sys.exit('starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
