"""Commands that make what goes into a paper: `report` and `cite`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignOrResults, Json, print_json
from workflows.cli.results import open_results

if TYPE_CHECKING:
    from workflows.dashboard.plot import Plot


def cite(campaign: CampaignOrResults, as_json: Json = False) -> None:
    """BibTeX of the codes, potentials, data and methods that this campaign really used.

    A comment above each entry says why it is cited. `halideflow cite CAMPAIGN > campaign.bib`
    """
    from workflows.citations import citations, to_bibtex
    from workflows.ingredients import ingredients

    listed = citations(ingredients(open_results(campaign)))
    if as_json:
        print_json(
            [
                {
                    "key": entry.key,
                    "why": entry.why,
                    "type": entry.type,
                    "authors": list(entry.authors),
                    **(entry.fields or {}),
                    "note": entry.note,
                    "bibtex": entry.bibtex(),
                }
                for entry in listed
            ]
        )
    else:
        typer.echo(to_bibtex(listed), nl=False)


def report(
    campaign: CampaignOrResults,
    out: Annotated[Path, typer.Option(help="The HTML file to write.", show_default=False)],
    top: Annotated[
        int, typer.Option(min=0, help="So many candidates get a page, best first.")
    ] = 10,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Also write every figure into this folder, as PDF and SVG at 85 and 170 mm.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one HTML file with everything, fit for a paper's supporting information.

    It opens from disk without a network and prints on A4; it works while a run goes on.
    """
    from rich.console import Console
    from rich.progress import Progress

    from workflows.report.figures import write_figure
    from workflows.report.page import render_report
    from workflows.report.view import report_view

    if out.is_dir():
        raise InvalidInput(f"{out}: is a folder; --out needs the name of a file")
    if not out.absolute().parent.is_dir():
        raise InvalidInput(f"{out}: there is no folder {out.absolute().parent}; make it first")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise InvalidInput(f"{figures}: is a file; --figures needs a folder")
    results = open_results(campaign)
    written: list[Path] = []

    def on_plot(name: str, plot: Plot) -> None:
        if figures is not None:
            written.extend(write_figure(plot, figures, name))

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("candidates", total=None)
        made = report_view(
            results,
            top,
            lambda done, n_pages: progress.update(task, completed=done, total=n_pages),
            on_plot,
        )
    out.write_text(render_report(made), encoding="utf-8")
    if as_json:
        print_json(
            {
                "report": str(out),
                "figures": [str(path) for path in written],
                "n_pages": len(made.pages),
                "n_candidates": made.n_rows,
                "missing": list(made.missing),
            }
        )
        return
    typer.echo(f"{out}: {len(made.pages)} of {made.n_rows} candidates have a page")
    for text in made.missing:
        typer.echo(text, err=True)
    if figures is not None:
        typer.echo(f"{len(written)} figures written to {figures}")
