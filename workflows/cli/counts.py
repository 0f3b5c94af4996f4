"""Counts of candidates as people read them: compositions, orderings, what is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from workflows.cli.tables import number, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from screening.documents import CandidateInfo
    from screening.survey import Survey

_LINE_EVERY_S = 15.0
_SELECTIONS = {"all": "", "lowest_ewald": " Ewald", "sample": " random"}


def survey_report(survey: Survey) -> Iterator[RenderableType]:
    """The table of compositions, totals, and what is left out."""
    from workflows.enumeration_files import is_refused

    if survey.cells:
        yield _table(survey)
        n_kept = sum(c.counted.n_kept for c in survey.cells if not is_refused(c))
        yield Text(
            f"in all {short(sum(c.n_configurations for c in survey.counts))} configurations, "
            f"{short(sum(c.n_orderings for c in survey.counts))} distinct orderings, "
            f"{short(n_kept)} kept"
        )
    else:
        yield Text("no composition is left")
    for entry in survey.left_out:
        reason = entry.reason
        named = reason if reason.startswith(entry.formula) else f"{entry.formula}: {reason}"
        yield Text(f"left out: {named}")


def _table(survey: Survey) -> Table:
    from workflows.enumeration_files import is_refused

    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("composition", no_wrap=True)
    table.add_column("host", overflow="fold")
    table.add_column("supercell", no_wrap=True)
    for name in ("atoms", "config-\nurations", "distinct\norderings"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kept")
    for surveyed in survey.cells:
        counted = surveyed.counted
        how = _SELECTIONS[counted.selection]
        table.add_row(
            counted.formula,
            Text(counted.host),
            counted.supercell,
            str(counted.n_atoms),
            short(counted.n_configurations),
            short(counted.n_orderings),
            Text("too many", style="red")
            if is_refused(surveyed)
            else f"{short(counted.n_kept)}{how}"
            if how
            else "all",
        )
    return table


def candidates_table(candidates: Sequence[CandidateInfo]) -> Table:
    """Distinct crystals of one composition: number, degeneracy, energy."""
    has_energies = any(entry.origin.ewald_energy_eV is not None for entry in candidates)
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("candidate", no_wrap=True)
    table.add_column("degeneracy", justify="right")
    if has_energies:
        table.add_column("Ewald energy\neV/cell", justify="right")
    for entry in candidates:
        origin = entry.origin
        energy = [number(origin.ewald_energy_eV, ".4f")] if has_energies else []
        table.add_row(str(origin.ordering), entry.id, short(origin.degeneracy), *energy)
    return table


@contextmanager
def candidate_progress(n_expected: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many candidates there are: a bar, or plain lines now and then."""
    console = Console(stderr=True)
    last_line_s = time.monotonic()
    with Progress(
        "candidates",
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("candidates", total=n_expected)

        def show(n_made: int) -> None:
            nonlocal last_line_s
            progress.update(task, completed=n_made)
            if not console.is_terminal and time.monotonic() - last_line_s > _LINE_EVERY_S:
                last_line_s = time.monotonic()
                console.print(f"candidates {n_made:,} of {n_expected:,}", highlight=False)

        yield show
