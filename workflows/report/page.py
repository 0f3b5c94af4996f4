"""From a report's view to its one file: everything is inside it, and everything is escaped."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup, escape
from pymatgen.core.periodic_table import Element

from workflows.dashboard.rendering import (
    duration,
    fixed,
    formula,
    interval,
    number,
    scientific,
    thousands,
    when,
)
from workflows.funnel import rejection_label
from workflows.methods import pieces

if TYPE_CHECKING:
    from workflows.report.view import Report

_HERE = Path(__file__).parent
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


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration,
        fixed=fixed,
        formula=formula,
        interval=interval,
        number=number,
        pieces=pieces,
        prose=prose,
        rejection=rejection_label,
        scientific=scientific,
        thousands=thousands,
        when=when,
    )
    return environment
