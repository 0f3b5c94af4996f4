"""Numbers, formulas and times as people read them, for pages, plots, reports and the terminal."""

from __future__ import annotations

import html
import math
import re
import time

from markupsafe import Markup, escape

from screening.rounding import rounded_up

UNKNOWN = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_INDEX = re.compile(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)")


def plain(text: str) -> str:
    """Any text as plotly's pseudo-HTML, which then shows it as it is."""
    return html.escape(text, quote=False)


def lowered(formula: str) -> str:
    """A formula, or text with formulas, as plotly's pseudo-HTML with its numbers lowered."""
    return _INDEX.sub(r"<sub>\1</sub>", plain(formula))


def formula(text: str) -> Markup:
    """A chemical formula, or a text with formulas such as a reaction, its digits as indices."""
    escaped = str(escape(text))  # Markup would escape what is put into it
    return Markup(_INDEX.sub(r"<sub>\1</sub>", escaped))


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits; `1.23 × 10⁻⁷` where zeros would only fill places."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 10 ** max(4, digits):
        return f"{rounded:.10g}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")


def number_above(bound: float | None, digits: int = 3) -> str:
    """An upper bound as `number` writes it, rounded up: a tighter one is not known."""
    return number(None if bound is None else rounded_up(bound, digits), digits)


def fixed(value: float | None, decimals: int = 2) -> str:
    """So many decimals."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{decimals}f}".replace("-", "−")


def interval(bounds: tuple[float, float] | None, decimals: int = 2) -> str:
    """Both ends, with so many decimals."""
    return (
        UNKNOWN if bounds is None else f"{fixed(bounds[0], decimals)}…{fixed(bounds[1], decimals)}"
    )


def interval_68(ends: tuple[float, float] | None) -> str:
    """In brackets behind its value; nothing where there is none."""
    return "" if ends is None else f" (68 %: {number(ends[0])}…{number(ends[1])})"


def scientific(value: float | None, digits: int = 2) -> Markup:
    """`1.2 × 10⁻⁵`; what is near one as it is."""
    if value is None or not math.isfinite(value):
        return Markup(UNKNOWN)
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return Markup(escape(number(value, digits)))
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return Markup("{} × 10<sup>{}</sup>").format(
        mantissa.replace("-", "−"), str(int(exponent)).replace("-", "−")
    )


def scientific_above(bound: float | None, digits: int = 2) -> Markup:
    """An upper bound as `scientific` writes it, rounded up: a tighter one is not known."""
    return scientific(None if bound is None else rounded_up(bound, digits), digits)


def powers(bounds: tuple[float, float] | None, digits: int = 2) -> Markup:
    """Both ends of an interval; `4.2…6.2 × 10⁻⁵` where they share a power of ten."""
    if bounds is None:
        return Markup(UNKNOWN)
    ends = [f"{bound:.{digits - 1}e}".partition("e")[::2] for bound in bounds]
    (low, exponent), (_, other) = ends
    low_text, high_text = (scientific(bound, digits) for bound in bounds)
    if exponent == other and "10<sup>" in low_text and "10<sup>" in high_text:
        low_text = Markup(escape(low.replace("-", "−")))
    return low_text + "…" + high_text


def when(at: float | None) -> Markup:
    """A moment in the server's time zone, to the second for machines and as a title."""
    if at is None:
        return Markup(UNKNOWN)
    moment = time.localtime(at)
    exact = time.strftime("%Y-%m-%dT%H:%M:%S%z", moment)
    return Markup(f'<time datetime="{exact}">{time.strftime("%Y-%m-%d %H:%M", moment)}</time>')


def duration(seconds: float | None) -> str:
    """The two largest units that it has."""
    if seconds is None:
        return UNKNOWN
    whole = round(max(seconds, 0))
    for size, name, smaller, of_smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return (
                f"{whole // size} {name} {rest} {of_smaller}" if rest else f"{whole // size} {name}"
            )
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def thousands(count: int) -> str:
    """With thin spaces between groups of three."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
