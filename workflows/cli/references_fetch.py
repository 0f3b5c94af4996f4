"""`references fetch`: reference phases of the Materials Project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screening.errors import InvalidInput
from workflows.cli.common import ExitCode, Json, OptionalCampaignFile, interruptions, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from workflows.chemical_systems import System
    from workflows.config import CampaignConfig
    from workflows.materials_project import FetchedSystem

DEFAULT_FOLDER = "references"


def fetch(
    campaign: OptionalCampaignFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help=f"Folder of the snapshots, a file for each chemical system; default: "
            f"{DEFAULT_FOLDER}, beside the config.",
            show_default=False,
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(
            metavar="K,Ta,Cl",
            help="One chemical system, instead of those of the config's candidates.",
            show_default=False,
        ),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Fetch again what is of an older version of the database."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch reference phases from the Materials Project (MP_API_KEY in the environment).

    Takes the chemical systems of CAMPAIGN's candidates and of the electrodes that its stability
    block names: GGA/GGA+U entries with MP2020 corrections. Files that are there are kept; stop with
    Ctrl-C at any time, the same command goes on.
    """
    from rich.console import Console

    from workflows.chemical_systems import system_of
    from workflows.config_file import load_campaign
    from workflows.materials_project import fetch_systems

    config = load_campaign(campaign) if campaign else None
    if elements is not None:
        systems = [system_of(elements.split(","))]
    elif config and campaign:
        systems = _of_campaign(config, campaign)
    else:
        raise InvalidInput("fetch for what? Give a campaign's config file, or --elements K,Ta,Cl")
    folder = out or (campaign.parent if campaign else Path()) / DEFAULT_FOLDER
    console = Console(stderr=True)
    fetched: list[FetchedSystem] = []

    def announce(system: System) -> None:
        status.update(f"fetching {'-'.join(system)} ({len(fetched)} systems are there)")

    with interruptions() as interrupted, console.status("") as status:
        try:
            for system in fetch_systems(systems, folder, refresh=refresh, announce=announce):
                fetched.append(system)
                _say(console, system)
        except BaseException:
            if not interrupted:
                raise
    if interrupted:
        typer.echo(
            f"stopped; {len(fetched)} of {len(systems)} systems are in {folder}, the same command "
            "goes on",
            err=True,
        )
        raise typer.Exit(ExitCode.PENDING)
    reference = _as_named_in(campaign, folder)
    if as_json:
        print_json(_document(fetched, folder, reference))
        return
    if not any(system.is_new for system in fetched):
        why = (
            " and of the present version of the database"
            if refresh
            else "; --refresh asks for a newer version of the database"
        )
        typer.echo(f"nothing to fetch: all {len(fetched)} systems are in {folder}{why}", err=True)
    typer.echo(f"stability: {{references: {reference}}}")
    if config:
        _warn_of_engine(config)


def _of_campaign(config: CampaignConfig, path: Path) -> list[System]:
    """The largest chemical systems of a campaign's candidates and electrodes.

    Raises:
        InvalidInput: there are no candidates.
    """
    from screening.survey import survey_candidates
    from workflows.chemical_systems import chemical_systems
    from workflows.config_file import read_structures

    survey = survey_candidates(config.candidates, read_structures(config, path))
    if not survey.cells:
        reasons = "; ".join(f"{lost.formula}: {lost.reason}" for lost in survey.left_out)
        raise InvalidInput(f"{path} has no candidates{': ' if reasons else ''}{reasons}")
    return chemical_systems(survey, config.stability.electrodes)


def _say(console: Console, system: FetchedSystem) -> None:
    """One system as soon as it is there."""
    state = "fetched" if system.is_new else "there already"
    lines = [
        f"{system.name}: {len(system.snapshot.phases)} phases, {state}: {system.path} "
        f"(sha256 {system.snapshot.sha256[:8]})",
        *(f"  left out: {reason}" for reason in system.left_out),
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _as_named_in(campaign: Path | None, folder: Path) -> str:
    """The folder as a config names it: relative to the config where it lies beside or below it."""
    if campaign is None:
        return str(folder.resolve())
    relative = os.path.relpath(folder.resolve(), campaign.parent.resolve())
    return str(folder.resolve()) if relative.startswith("..") else Path(relative).as_posix()


def _document(fetched: Sequence[FetchedSystem], folder: Path, reference: str) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "references": reference,
        "systems": [
            {
                "system": system.name,
                "file": str(system.path),
                "n_phases": len(system.snapshot.phases),
                "source": system.snapshot.source,
                "date": system.snapshot.date,
                "sha256": system.snapshot.sha256,
                "fetched": system.is_new,
                "left_out": list(system.left_out),
            }
            for system in fetched
        ],
    }


def _warn_of_engine(config: CampaignConfig) -> None:
    """Say it where the campaign's own energies cannot be compared with these."""
    from screening.stability.conventions import VASP
    from workflows.engines import engine_convention

    convention = engine_convention(config.engine)
    if convention != VASP:
        typer.echo(
            f"note: these are DFT energies, for candidates computed with VASP; {config.name} uses "
            f"{convention.potential}, whose own references are the shipped snapshot or what "
            "`halideflow references build` makes",
            err=True,
        )
