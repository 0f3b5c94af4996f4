"""Numbers and tables as people read them on a terminal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from workflows.cli.stability_sections import section, stability_sections
from workflows.cli.transport_section import diffusivity, power, power_above, transport_sections
from workflows.ranking_words import common_caveats, footnotes, more_caveats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from screening.documents import VaspCalculation
    from screening.ranked import RankedCandidate
    from workflows.views import CandidateView

UNKNOWN = "–"
_WIDE = 120
_TELLER = "`halideflow show`"
_LONGEST = 10**12  # numbers below are written out in full
_UNITS = {
    "_eV_per_atom": (1000, "meV"),
    "_V": (1, "V"),
    "_percent": (1, "%"),
    "_S_cm": (1, "S/cm"),
    "_cm2_s": (1, "cm²/s"),
}


def ranking_table(rows: Iterable[RankedCandidate], width: int, title: str | None = None) -> Table:
    """The ranking: one line a candidate, its diffusivities below each other.

    Args:
        rows: in the order to show.
        width: columns of the terminal; products are left out where they do not fit.
        title: above the table.
    """
    rows = list(rows)
    wide = width >= _WIDE
    conducting = any(conductivity(row, wide) != UNKNOWN for row in rows)
    long = any(row.rejection or len(row.diffusivity) > 1 for row in rows)
    separator = "\n" if long and not wide else " "
    table = Table(title=title, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right")
    table.add_column("candidate", no_wrap=True)
    table.add_column("E_hull\nmeV/at", justify="right")
    table.add_column("window\nV vs A/A⁺", no_wrap=True)
    if wide:
        table.add_column("reduced to / oxidised to")
    table.add_column("D in cm²/s (68 %), or why not")
    if conducting:
        table.add_column("σ(300 K)\nS/cm", justify="right")
    for row in rows:
        cells = [
            number(row.rank, "d"),
            f"{row.id} ?" if row.suspect else row.id,
            number(_times(row.e_hull_eV_per_atom, 1000), ".0f"),
            window(row, separator, wide),
            *([products(row)] if wide else []),
            _outcome(row),
            *([conductivity(row, wide)] if conducting else []),
        ]
        table.add_row(*cells, style=None if row.rank is not None else "dim")
    return table


def _outcome(row: RankedCandidate) -> str:
    """Diffusivities of a finished candidate, or what became of it."""
    if row.state != "done" or not (row.diffusivity or row.lost_runs):
        return _state(row)
    runs = {d.temperature_K: diffusivity(d) for d in row.diffusivity}
    runs |= {float(temperature_K): code for temperature_K, code in row.lost_runs.items()}
    return "\n".join(
        f"{temperature_K:g} K: {runs[temperature_K]}" for temperature_K in sorted(runs)
    )


def short(count: int) -> str:
    """With thousands set apart, or `1.2e40`; of any size."""
    if count < _LONGEST:
        return f"{count:,}"
    return f"{Decimal(count):.1e}".replace("e+", "e")


def number(value: float | None, form: str) -> str:
    """A number, or a dash where it is unknown."""
    return UNKNOWN if value is None else format(value, form)


def window(row: RankedCandidate, separator: str = " ", of_rejected: bool = True) -> str:
    """Both limits of the window, and the 68 % interval of its width, if wanted of rejected ones."""
    if row.reduction_limit_V is None or row.oxidation_limit_V is None:
        return UNKNOWN
    star = "*" if row.window_of == "equilibrium" else ""
    text = f"{row.reduction_limit_V:.2f}–{row.oxidation_limit_V:.2f}{star}"
    if row.window_68_V and (of_rejected or row.rejection is None):
        low_V, high_V = row.window_68_V
        text += f"{separator}({low_V:.1f}…{high_V:.1f})"
    return text


def products(row: RankedCandidate) -> str:
    """What the candidate turns into below and above its window."""
    if row.reduction_products is None or row.oxidation_products is None:
        return UNKNOWN
    return f"{' + '.join(row.reduction_products)} / {' + '.join(row.oxidation_products)}"


def conductivity(row: RankedCandidate, wide: bool) -> str:
    """σ(300 K) in S/cm or its upper bound; with the 68 % interval where there is room."""
    if row.conductivity_300K_S_cm is None:
        bound_S_cm = row.conductivity_300K_upper_bound_S_cm
        return UNKNOWN if bound_S_cm is None else f"< {power_above(bound_S_cm)}"
    text = power(row.conductivity_300K_S_cm) + ("‡" if row.one_arrhenius_law is False else "")
    if wide and row.conductivity_300K_68_S_cm:
        text += "\n({}…{})".format(*map(power, row.conductivity_300K_68_S_cm))
    return text


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _state(row: RankedCandidate) -> str:
    if row.rejection is not None:
        quantity = row.rejection.gate.split("_", 1)[1]
        name, factor, unit = next(
            (quantity.removesuffix(suffix), factor, unit)
            for suffix, (factor, unit) in _UNITS.items()
            if quantity.endswith(suffix)
        )
        value = _times(row.rejection.value, factor)
        form = ".2g" if value is None or abs(value) < 10 else ".0f"
        return f"rejected: {name} {number(value, form)} {unit}"
    if row.failure is not None:
        return f"failed: {row.stage} {row.failure.code}"
    if row.state != "done":
        return f"{row.state}: {row.stage}"
    moved = row.diffusivity or row.lost_runs
    return "suspect" if row.suspect else "done" if moved else "done: no dynamics"


def ranking_notes(rows: Iterable[RankedCandidate]) -> str:
    """What the table's marks mean, where they occur."""
    rows = list(rows)
    notes = [str(note) for note in footnotes(rows, _TELLER)]
    caveats, n_more = common_caveats(rows)
    notes += caveats
    if n_more:
        notes.append(more_caveats(n_more, _TELLER))
    return "\n".join(notes)


def _calculations(runs: Sequence[VaspCalculation]) -> dict[str, str]:
    """Runs of VASP, what was corrected on the way, and the potentials."""
    lines = {}
    for run in runs:
        cores = f" on {run.n_cores} cores" if run.n_cores else ""
        lines[run.name] = "\n".join(
            [
                f"{run.n_ionic_steps} steps, {run.elapsed_s:.0f} s{cores}, {run.kpoints}, VASP "
                f"{run.version}; {run.folder}",
                *(f"corrected: {correction}" for correction in run.corrections),
            ]
        )
    if runs:
        lines["POTCARs"] = "\n".join(
            f"{title}, sha256 {digest[:12]}" for title, digest in runs[-1].potcars.items()
        )
    return lines


def candidate_sections(view: CandidateView, width: int) -> Iterator[RenderableType]:
    """One candidate, section by section, for a terminal of so many columns."""
    from screening.transport.documents import TransportDocument

    origin = view.info.origin
    yield section(
        view.info.id,
        {
            "formula": view.info.formula,
            "mobile ion": view.info.mobile_ion,
            "state": _state(view.row),
            "rank": number(view.row.rank, "d"),
            "host": origin.host
            if origin.source == origin.host
            else f"{origin.host} ({origin.source})",
            "ordering": f"{origin.ordering} of {short(origin.n_orderings)} distinct, "
            f"degeneracy {origin.degeneracy} of {short(origin.n_configurations)}",
            "chosen by": "" if origin.selection == "all" else origin.selection,
            "also from": ", ".join(other.host for other in view.info.other_origins),
            "notes": "\n".join(origin.notes),
        },
    )
    if among := view.ensemble:
        yield section(
            f"among {among.n_relaxed} relaxed of {short(among.n_orderings)} orderings",
            {
                "energy": f"{1000 * among.energy_above_lowest_eV_per_atom:.2f} meV/atom above the "
                "lowest",
                f"probability at {among.temperature_K:g} K": f"{among.probability:.3g}, counting "
                "degeneracies",
                "thermal mean": f"{1000 * among.mean_energy_above_lowest_eV_per_atom:.2f} meV/atom "
                "above the lowest",
                "configurational entropy": f"{among.entropy_eV_per_K:.3g} eV/K a cell",
            },
        )
    if view.row.rejection:
        rejection = view.row.rejection
        yield section(
            "rejected",
            {rejection.gate: f"{number(rejection.value, '.4g')}, allowed {rejection.threshold:g}"},
        )
    if view.row.failure:
        failure = view.row.failure
        yield section("failed", {failure.code: failure.message, "log": failure.log_tail})
    if view.relax and (relaxed := view.relax.result):
        lattice = relaxed.structure.lattice
        yield section(
            "relaxation",
            {
                "energy": f"{relaxed.energy_eV_per_atom:.5f} eV/atom",
                "cell": f"{lattice.a:.3f} {lattice.b:.3f} {lattice.c:.3f} Å, "
                f"{lattice.alpha:.2f} {lattice.beta:.2f} {lattice.gamma:.2f}°",
                "volume": f"{relaxed.structure.volume:.1f} Å³ "
                f"({relaxed.volume_change_percent:+.1f} %)",
                "steps": str(relaxed.n_steps),
                "engine": f"{relaxed.convention.potential}, {relaxed.convention.functional}, "
                f"{relaxed.convention.corrections}",
                **_calculations(relaxed.calculations),
            },
        )
    if view.stability and (stable := view.stability.result):
        yield from stability_sections(stable, width)
    if isinstance(view.transport, TransportDocument) and (moved := view.transport.result):
        yield from transport_sections(moved)
