"""From a report's view to its one file: everything is inside it, and everything is escaped."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape
from pymatgen.core.periodic_table import Element

from workflows.funnel import rejection_label
from workflows.methods import pieces
from workflows.templates import templates_in
from workflows.words import formula, scientific

if TYPE_CHECKING:
    import jinja2

    from workflows.report.view import Report

_HERE = Path(__file__).parent
_WIDEST = 100  # intervals over more than two decades have a power of ten at each end
_SYMBOL = "(?:" + "|".join(sorted((e.symbol for e in Element), key=len, reverse=True)) + ")"
_FORMULA = re.compile(rf"(?<![\w(])(?:\(?{_SYMBOL}[\d.]*\)?[\d.]*)+(?<![.(])(?![\w/-])")


def render_report(report: Report) -> str:
    """The file's text."""
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    return _environment().get_template("report.html").render(report=report, style=style)


def prose(text: str) -> Markup:
    """A text in which formulas have indices; other words, such as MP2020, stay as they are."""
    parts: list[str] = []
    end = 0
    for found in _FORMULA.finditer(text):
        parts += [str(escape(text[end : found.start()])), str(formula(found[0]))]
        end = found.end()
    return Markup("".join([*parts, str(escape(text[end:]))]))  # noqa: S704  each part is escaped


def spread(value: float, ends: tuple[float, float]) -> Markup:
    """A value and its interval with one power of ten: `2.8 (2.3…3.3) × 10⁻⁴`."""
    exponent = math.floor(math.log10(value)) if value > 0 else 0
    low, high = ends
    if not low > 0 or high / low > _WIDEST:
        return Markup("{} ({}…{})").format(scientific(value), scientific(low), scientific(high))
    if -2 <= exponent < 4:
        exponent = 0
    numbers = [f"{each / 10**exponent:#.2g}".removesuffix(".") for each in (value, low, high)]
    text = Markup("{} ({}…{})").format(*numbers)
    if exponent == 0:
        return text
    return text + Markup(" × 10<sup>{}</sup>").format(str(exponent).replace("-", "−"))


def size(n_bytes: int) -> str:
    """Of a file."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"


@cache
def _environment() -> jinja2.Environment:
    environment = templates_in(_HERE / "templates")
    environment.filters.update(
        pieces=pieces, prose=prose, rejection=rejection_label, size=size, spread=spread
    )
    return environment
