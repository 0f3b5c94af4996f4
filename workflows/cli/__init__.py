"""The `halideflow` command: parse, call, print.

Modules of this package import nothing heavy (torch, pymatgen, atomate2, numpy ...) at the top; each
command imports what it needs inside its body, so that `halideflow --help` stays quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from workflows.cli import (
    cluster,
    common,
    config,
    dashboard,
    doctor,
    explain,
    interfaces,
    jobs,
    md,
    orders,
    plan,
    prototypes,
    references,
    report,
    results,
    run,
    status,
    submit,
    window,
)
from workflows.cli import enumerate as enumeration

app = typer.Typer(
    name="halideflow",
    cls=common.Commands,
    epilog=common.EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"halideflow {version('halideflow')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """One config in, a ranked list of halide solid electrolytes out."""


app.command("enumerate")(enumeration.enumerate_candidates)
for _command in (
    plan.plan,
    window.window,
    run.run,
    submit.submit,
    status.status,
    jobs.jobs,
    jobs.logs,
    results.failures,
    explain.explain,
    orders.retry,
    orders.pause,
    orders.resume,
    orders.cancel,
    results.rank,
    results.show,
    interfaces.interfaces,
    results.export,
    report.report,
    report.cite,
    config.validate,
    config.schema,
    prototypes.prototypes,
    dashboard.dashboard,
    doctor.doctor,
):
    app.command()(_command)
app.add_typer(cluster.app)
app.add_typer(references.app)
app.add_typer(md.app)


def main() -> None:
    """Console entry point."""
    app()
