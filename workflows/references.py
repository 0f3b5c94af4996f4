"""Regenerate a snapshot of reference phases: `python -m workflows.references [SNAPSHOT]`.

Each structure of the snapshot is relaxed again, as the campaign relaxes its candidates, and the
file is rewritten in place. A file whose numbers do not change keeps its date, so that running the
command twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from screening.documents import EnergyConvention
from screening.errors import MixedConventions, ScreeningError
from screening.stability.references import (
    ENERGY_DECIMALS,
    ReferencePhase,
    ReferencePhases,
)
from screening.stability.snapshots import locate_snapshot
from workflows.cli.common import ExitCode

if TYPE_CHECKING:
    from workflows.engines import Engine

app = typer.Typer(add_completion=False)


def regenerate(
    references: ReferencePhases,
    engine: Engine,
    advance: Callable[[], None] = lambda: None,
) -> ReferencePhases:
    """Relax every phase of a snapshot again.

    Args:
        references: their structures are the starting points, their settings are kept.
        engine: of the snapshot's convention.
        advance: called after each phase.

    Raises:
        MixedConventions: the engine is not the snapshot's.
        EnergyNotFinite, NotConverged: the engine gave no usable answer for a phase.
    """
    _require_engine_of(references.convention, engine)
    phases = []
    for phase in references.phases:
        phases.append(relax_phase(phase, references, engine))
        advance()
    regenerated = references.model_copy(update={"phases": tuple(phases)})
    # parsed from its own text: what is returned is what a reader of the file will see
    regenerated = ReferencePhases.parse(regenerated.dump().encode(), "the regenerated snapshot")
    if regenerated.sha256 == references.sha256:
        return references
    return regenerated.model_copy(update={"date": datetime.now(UTC).date().isoformat()})


def relax_phase(
    phase: ReferencePhase, references: ReferencePhases, engine: Engine
) -> ReferencePhase:
    """Relax one phase with the settings of its snapshot; no random displacement is added."""
    from workflows.config import RelaxSettings

    settings = RelaxSettings(
        max_force_eV_per_A=references.relaxation.max_force_eV_per_A,
        max_steps=references.relaxation.max_steps,
        rattle_A=0.0,
    )
    relaxed = engine.relax(phase.structure, settings)
    energy_eV_per_atom = round(float(relaxed.energy_eV_per_atom), ENERGY_DECIMALS)
    return phase.model_copy(
        update={"structure": relaxed.structure, "energy_eV_per_atom": energy_eV_per_atom}
    )


def _require_engine_of(convention: EnergyConvention, engine: Engine) -> None:
    if engine.convention != convention:
        raise MixedConventions(
            f"the snapshot is of {convention.potential} (weights {convention.weights_sha256}), the "
            f"engine is {engine.convention.potential} (weights {engine.convention.weights_sha256})"
        )


@app.command()
def main(
    snapshot: Annotated[
        str, typer.Argument(help="A shipped snapshot's name, or the path of a file.")
    ] = "chgnet-0.3.0",
) -> None:
    """Relax all reference phases of SNAPSHOT again and rewrite its file."""
    try:
        typer.echo(_rewrite(snapshot))
    except ScreeningError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(ExitCode.BAD_INPUT) from error


def _rewrite(snapshot: str) -> str:
    from rich.console import Console
    from rich.progress import Progress

    from workflows.config import EngineSettings
    from workflows.engines import load_engine

    path = locate_snapshot(snapshot)
    before = ReferencePhases.load(snapshot)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("relaxing", total=len(before.phases))
        after = regenerate(
            before, load_engine(EngineSettings()), advance=lambda: progress.advance(bar)
        )
    path.write_text(after.dump(), encoding="utf-8")
    return f"{path}: {len(after.phases)} phases, {_largest_change(before, after)}"


def _largest_change(before: ReferencePhases, after: ReferencePhases) -> str:
    changes = {
        new.name: 1000 * (new.energy_eV_per_atom - old.energy_eV_per_atom)
        for old, new in zip(before.phases, after.phases, strict=True)
    }
    name = max(changes, key=lambda key: abs(changes[key]))
    return f"largest change {changes[name]:+.2f} meV/atom ({name})"


if __name__ == "__main__":
    app()
