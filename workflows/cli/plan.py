"""`plan`: what a run would do, and the very inputs that VASP would get, before anything runs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.errors import InvalidInput
from workflows.cli.common import CampaignFile, ExitCode, Json, print_json
from workflows.cli.enumerate import counts_of, listed, n_kept_of, print_notes, print_survey
from workflows.cli.plan_price import price_json, price_of, print_price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from screening.survey import Survey
    from workflows.config import CampaignConfig, EngineSettings
    from workflows.cost.price import CampaignPrice
    from workflows.vasp.inputs import Potcars

_N_SHOWN = 8
_LIGHT = {"H", "Li"}
_LONGEST_WITH_LIGHT_FS = 1.0


def plan(
    campaign: CampaignFile,
    inputs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the inputs of VASP there, a folder for each candidate.",
            show_default=False,
        ),
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Only of this candidate; may be repeated.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a run of CAMPAIGN would do and cost, before anything runs.

    Exit code 2 where a composition has more orderings than its settings allow.
    """
    from screening.survey import survey_candidates
    from workflows.config_file import load_campaign, read_structures, results_folder

    config = load_campaign(campaign)
    if inputs is not None and not config.engine.runs_vasp:
        raise InvalidInput(
            f"--inputs: engine {config.engine.name} has no inputs of VASP; needed: engine.name "
            "vasp or rehearsal"
        )
    if candidate and inputs is None:
        raise InvalidInput(
            "--candidate chooses whose inputs are written; give --inputs DIR with it"
        )
    structures = read_structures(config, campaign)
    survey = survey_candidates(config.candidates, structures)
    beyond = _beyond_engine(survey, config.engine)
    potcars = _potcars(survey, config, beyond)
    resolved, problems_of_references = _with_references(config, campaign)
    problems = survey.problems()
    if inputs is None:  # which can be looked at without any
        problems += problems_of_references
    n_candidates = n_kept_of(survey)
    temperatures_K = config.dynamics.temperatures_K if config.dynamics else ()
    folder = results_folder(campaign, config)

    def price() -> CampaignPrice | None:
        if problems or not n_candidates or resolved is None:
            return None
        return price_of(resolved, survey, structures, folder)

    if as_json:
        priced = price()
        print_json(
            {
                "campaign": config.name,
                "results_dir": str(folder),
                **counts_of(survey),
                "beyond_engine": beyond,
                "n_relaxations_at_most": n_candidates,
                "n_dynamics_at_most": n_candidates * len(temperatures_K),
                "potcars": potcars.labels if potcars else None,
                "potcars_missing": list(potcars.missing) if potcars else None,
                "price": price_json(priced) if priced else None,
            }
        )
    else:
        print_survey(survey)
        print_notes(survey)
        _print_engine(config, survey, beyond, potcars)
        for problem in problems:
            typer.echo(problem, err=True)
        if n_candidates and not problems:
            typer.echo(_what_follows(config, n_candidates, temperatures_K))
            typer.echo(f"results would go to {folder}")
        if (priced := price()) is not None:
            print_price(priced)
    if inputs is not None and not problems:
        _write_inputs(survey, config, inputs, candidate or [])
    if problems or not n_candidates:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _with_references(
    config: CampaignConfig, campaign: Path
) -> tuple[CampaignConfig | None, list[str]]:
    """The campaign with its reference phases found, or what is wrong with them."""
    from workflows.config_file import ConfigError, resolve_references

    try:
        return resolve_references(config, campaign), []
    except ConfigError as error:
        return None, [str(error)]


def _what_follows(
    config: CampaignConfig, n_candidates: int, temperatures_K: Sequence[float]
) -> str:
    temperatures = ", ".join(f"{t:g}" for t in temperatures_K)
    follows = (
        f"at most {n_candidates * len(temperatures_K):,} dynamics runs follow (at "
        f"{temperatures} K; gates decide which)"
        if temperatures_K
        else "no dynamics follows"
    )
    return f"{config.name}: at most {n_candidates:,} candidates would be relaxed, and {follows}"


def _print_engine(
    config: CampaignConfig,
    survey: Survey,
    beyond: dict[str, list[str]],
    potcars: Potcars | None,
) -> None:
    """What the engine lacks, and what is to be known of its settings."""
    engine = config.engine
    for symbol, formulas in beyond.items():
        reason, advice = (
            (f"the Materials Project has no POTCAR of {symbol}", "name one in engine.vasp.potcar")
            if engine.name == "vasp"
            else (
                f"{engine.name} {engine.model} was never fitted to {symbol}",
                "leave it out, or use weights that know it",
            )
        )
        typer.echo(f"note: {reason}: {listed(formulas)} will fail; {advice}", err=True)
    if potcars:
        _print_potcars(potcars, config)
    if engine.runs_vasp and config.dynamics:
        from workflows.vasp.inputs import symbols_of

        light = _LIGHT & set(symbols_of(survey))
        if light and config.dynamics.timestep_fs > _LONGEST_WITH_LIGHT_FS:
            typer.echo(
                f"note: dynamics.timestep_fs is {config.dynamics.timestep_fs:g} with "
                f"{' and '.join(sorted(light))}; the literature takes 1 fs",
                err=True,
            )


def _print_potcars(potcars: Potcars, config: CampaignConfig) -> None:
    from workflows.vasp.potcars import LIBRARY_VARIABLE, library

    labels = ", ".join(potcars.labels.values())
    if config.engine.name == "rehearsal":
        typer.echo(f"POTCARs, of which the rehearsal makes stand-ins: {labels}")
        return
    typer.echo(f"POTCARs (PBE, without a version): {labels}")
    if potcars.missing:
        folder = library()
        where = f"looked for in {folder}" if folder else f"{LIBRARY_VARIABLE} is not set"
        follows = (
            "`halideflow doctor` looks for them on the cluster"
            if config.execution.cluster
            else "every candidate that needs one will fail"
        )
        typer.echo(f"missing POTCARs: {', '.join(potcars.missing)} ({where}); {follows}", err=True)


def _potcars(
    survey: Survey, config: CampaignConfig, beyond: dict[str, list[str]]
) -> Potcars | None:
    if not config.engine.runs_vasp:
        return None
    from workflows.vasp.inputs import Potcars, symbols_of

    return Potcars.of(config, [s for s in symbols_of(survey) if s not in beyond])


def _beyond_engine(survey: Survey, engine: EngineSettings) -> dict[str, list[str]]:
    """Element that the engine says nothing of -> the compositions that hold it."""
    from pymatgen.core.composition import Composition

    from workflows.engines import unknown_elements

    found: dict[str, list[str]] = {}
    for formula in dict.fromkeys(entry.counted.formula for entry in survey.cells):
        symbols = Composition(formula).get_el_amt_dict()
        for symbol in unknown_elements(engine, symbols):
            found.setdefault(symbol, []).append(formula)
    return found


def _write_inputs(survey: Survey, config: CampaignConfig, out: Path, wanted: Sequence[str]) -> None:
    """A folder for each candidate, or for those that are wanted.

    Raises:
        InvalidInput: a candidate that is wanted is none of the campaign's.
    """
    from screening.candidates import iterate_candidates
    from workflows.cli.counts import candidate_progress
    from workflows.vasp.inputs import ABOUT, write_inputs

    candidates = [c for c in iterate_candidates(survey) if not wanted or c.id in wanted]
    if unknown := set(wanted) - {c.id for c in candidates}:
        raise InvalidInput(
            f"--candidate {', '.join(sorted(unknown))}: no such candidate; there are, for one, "
            f"{', '.join(c.id for c in itertools.islice(iterate_candidates(survey), _N_SHOWN))}"
        )
    with candidate_progress(len(candidates)) as show:
        for n, candidate in enumerate(candidates, start=1):
            write_inputs(candidate.structure, config, out / candidate.id)
            show(n)
    (out / "README.txt").write_text(ABOUT, encoding="utf-8")
    plural = "s" * (len(candidates) != 1)
    typer.echo(f"inputs of {len(candidates)} candidate{plural} are in {out}", err=True)
