"""Numbers in the queries of addresses, which anybody can write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_DIGITS = 9


def number_in(text: str) -> int | None:
    """A whole number from 0; None where it is none, or one that nothing is ever counted up to."""
    return int(text) if len(text) <= _MOST_DIGITS and text.isdecimal() else None


def page_in(query: Mapping[str, str]) -> int:
    """Which page of a table an address asks for, the first where it says nothing.

    Raises:
        HTTPException: 400, it is no number.
    """
    text = query.get("page", "1")
    number = number_in(text)
    if not number:
        shown = text if len(text) <= 2 * _MOST_DIGITS else f"{text[:_MOST_DIGITS]}…"
        raise HTTPException(400, f"page={shown}: needed is a number from 1.")
    return number
