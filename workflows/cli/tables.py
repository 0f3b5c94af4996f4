"""Numbers and tables as people read them on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from screening.documents import Diffusivity, RankedCandidate

UNKNOWN = "–"


def ranking_table(rows: Iterable[RankedCandidate], title: str | None = None) -> Table:
    """The ranking: one line a candidate, its diffusivities below each other."""
    rows = list(rows)
    table = Table(title=title, header_style="bold", show_lines=False, pad_edge=False)
    for heading, justify in (
        ("#", "right"),
        ("candidate", "left"),
        ("state", "left"),
        ("E_hull\nmeV/atom", "right"),
        ("window\nV vs A/A+", "right"),
        ("reduces to / oxidises to", "left"),
        ("T\nK", "right"),
        ("D (68 %)\ncm²/s", "left"),
        ("σ(300 K)\nS/cm", "right"),
    ):
        table.add_column(heading, justify=justify, no_wrap=heading != "reduces to / oxidises to")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            str(row.rank) if row.rank is not None else UNKNOWN,
            row.id,
            _state(row),
            number(_times(row.e_hull_eV_per_atom, 1000), ".0f"),
            window(row),
            products(row),
            "\n".join(f"{d.temperature_K:g}" for d in row.diffusivity) or UNKNOWN,
            "\n".join(map(diffusivity, row.diffusivity)) or UNKNOWN,
            number(row.conductivity_300K_S_cm, ".1e"),
        )
    return table


def number(value: float | None, form: str) -> str:
    """A number, or a dash where it is unknown."""
    return UNKNOWN if value is None else format(value, form)


def window(row: RankedCandidate) -> str:
    """Both limits of the window."""
    if row.reduction_limit_V is None or row.oxidation_limit_V is None:
        return UNKNOWN
    star = "*" if row.window_of == "equilibrium" else ""
    return f"{row.reduction_limit_V:.2f}–{row.oxidation_limit_V:.2f}{star}"


def products(row: RankedCandidate) -> str:
    """What the candidate turns into below and above its window."""
    if row.reduction_products is None or row.oxidation_products is None:
        return UNKNOWN
    return f"{' + '.join(row.reduction_products)} / {' + '.join(row.oxidation_products)}"


def diffusivity(value: Diffusivity) -> str:
    """A diffusivity with its 68 % interval, or its upper bound."""
    if value.D_cm2_s is None or value.D_68_cm2_s is None:
        return f"< {value.upper_bound_cm2_s:.1e}"
    low, high = value.D_68_cm2_s
    return f"{value.D_cm2_s:.1e} ({low:.1e} … {high:.1e})"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _state(row: RankedCandidate) -> str:
    if row.rejection is not None:
        return f"rejected: {row.rejection.gate}"
    if row.failure is not None:
        return f"failed: {row.stage} {row.failure.code}"
    return row.state if row.state == "done" else f"{row.state}: {row.stage}"
