"""`validate` and `schema`: the campaign file before anything runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from workflows.cli.common import CampaignFile, ExitCode, Json, print_json


def validate(campaign: CampaignFile, as_json: Json = False) -> None:
    """Check CAMPAIGN and the structure files it names; writes nothing."""
    from workflows.config_file import (
        ConfigError,
        load_campaign,
        read_structures,
        resolve_references,
        results_folder,
    )

    try:
        config = resolve_references(load_campaign(campaign), campaign)
        read_structures(config, campaign)
    except ConfigError as error:
        if not as_json:
            raise
        problems = [asdict(problem) for problem in error.problems]
        print_json({"file": str(campaign), "valid": False, "problems": problems})
        raise typer.Exit(ExitCode.BAD_INPUT) from error
    folder = results_folder(campaign, config)
    if as_json:
        document = {"file": str(campaign), "valid": True, "problems": []}
        print_json({**document, "name": config.name, "results_dir": str(folder)})
    else:
        typer.echo(
            f"{campaign}: valid; campaign {config.name}, results in {folder}; "
            "`halideflow plan` counts its candidates"
        )


def schema(
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Print a commented file with every default instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of the campaign file, from which editors complete."""
    from workflows.config_docs import default_yaml, json_schema

    if defaults:
        typer.echo(default_yaml(), nl=False)
    else:
        print_json(json_schema())
