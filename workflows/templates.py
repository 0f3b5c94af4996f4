"""Jinja2 as pages and reports use it: everything is escaped, and nothing undefined passes."""

from __future__ import annotations

from pathlib import Path

import jinja2

from workflows import words


def templates_in(folder: Path) -> jinja2.Environment:
    """The templates of a folder, which can write numbers and formulas for people."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bound=words.scientific_above,
        fixed=words.fixed,
        formula=words.formula,
        interval=words.interval,
        number=words.number,
        scientific=words.scientific,
        thousands=words.thousands,
        when=words.when,
    )
    return environment
