"""`enumerate`: candidates, counted first and then made."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from screening.errors import InvalidInput
from workflows.cli.common import ExitCode, Json, interruptions, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core.structure import Structure

    from screening.candidate_settings import CandidateSettings
    from screening.documents import CandidateInfo
    from screening.survey import Survey

MAX_MADE = 5_000_000  # orderings, where nothing is written to a folder
MAX_WRITTEN = 1_000_000_000
_NO_LIMIT = 10**4000
_N_SHOWN = 20
_CONFIGS = {".yaml", ".yml"}


def enumerate_candidates(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A campaign's config file (.yaml), or a structure with partial occupancies: "
            "CIF, POSCAR or whatever pymatgen reads.",
            show_default=False,
        ),
    ],
    supercell: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="A B C", help="Of a structure: cells along a, b and c; default: 1 1 1."
        ),
    ] = None,
    count_only: Annotated[
        bool, typer.Option("--count-only", help="Count in closed form, make none.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the candidates, written in batches. Stop with Ctrl-C at any time; the "
            "same command goes on."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count and make all compositions and distinct orderings of SOURCE."""
    if count_only and out:
        raise InvalidInput("--count-only makes no candidates; leave out either it or --out")
    is_parent = source.suffix.lower() not in _CONFIGS
    if supercell and not is_parent:
        raise InvalidInput(
            f"--supercell is for a structure; {source} says itself which supercells it wants"
        )
    settings, structures = (
        _parent(source, supercell or (1, 1, 1)) if is_parent else _campaign(source)
    )
    survey = _survey(settings, structures, is_parent)
    document = _of_parent(survey) if is_parent else counts_of(survey)
    if not as_json:
        print_survey(survey)
    print_notes(survey)
    if count_only:
        for problem in survey.problems():
            typer.echo(problem, err=True)
    elif out:
        survey.check_limits()
        document |= _written(survey, out, settings, structures, source, is_parent)
        if is_parent and as_json and n_kept_of(survey) <= MAX_MADE:
            document |= _made(survey, is_parent, as_json)
    else:
        document |= _made(survey, is_parent, as_json)
    if as_json:
        print_json(document)


def listed(formulas: Sequence[str]) -> str:
    """A few formulas, or how many there are."""
    return ", ".join(formulas) if len(formulas) < 4 else f"{len(formulas)} compositions"


def print_notes(survey: Survey) -> None:
    """What the makers of hosts want known, with the compositions it is about."""
    about: dict[str, dict[str, None]] = {}
    for entry in survey.cells:
        for note in entry.cell.host.notes:
            about.setdefault(note, {})[entry.counted.formula] = None
    for note, formulas in about.items():
        where = f" on {listed([*formulas])}" if len(survey.cells) > 1 else ""
        typer.echo(f"note{where}: {note}", err=True)


def _campaign(path: Path) -> tuple[CandidateSettings, Mapping[str, Structure]]:
    """What a campaign file says of candidates, with the structures that it names."""
    from workflows.config_file import load_campaign, read_structures

    config = load_campaign(path)
    return config.candidates, read_structures(config, path)


def _parent(
    path: Path, supercell: tuple[int, int, int]
) -> tuple[CandidateSettings, Mapping[str, Structure]]:
    """One structure as if it were a campaign.

    Raises:
        InvalidInput: it cannot be read, holds nothing that could move, or the supercell is none.
    """
    from screening.candidate_settings import CandidateSettings, StructureFile
    from workflows.structure_files import mobile_ion_of, read_structure

    if min(supercell) < 1:
        found = " ".join(map(str, supercell))
        raise InvalidInput(f"--supercell is {found}; needed: three whole numbers, each at least 1")
    structure = read_structure(path)
    file = StructureFile(
        path=path.name,
        mobile_ion=mobile_ion_of(path, structure),
        supercell=supercell,
        max_orderings=_NO_LIMIT,
    )
    return CandidateSettings(files=(file,)), {path.name: structure}


def _survey(
    settings: CandidateSettings, structures: Mapping[str, Structure], is_parent: bool = False
) -> Survey:
    """All that there is to make; a parent that cannot be used is an error."""
    from screening.survey import survey_candidates

    survey = survey_candidates(settings, structures)
    if is_parent and survey.left_out:
        raise InvalidInput("\n".join(entry.reason for entry in survey.left_out))
    return survey


def n_kept_of(survey: Survey) -> int:
    """Candidates that would be made."""
    from workflows.enumeration_files import is_refused

    return sum(entry.counted.n_kept for entry in survey.cells if not is_refused(entry))


def _of_parent(survey: Survey) -> dict[str, Any]:
    (entry,) = survey.cells
    counted = entry.counted
    return {
        "parent": counted.host,
        "formula": counted.formula,
        "mobile_ion": counted.mobile_ion,
        "supercell": list(entry.entry.supercell),
        "n_atoms": counted.n_atoms,
        "n_raw": counted.n_configurations,
        "n_distinct": counted.n_orderings,
        "notes": list(entry.cell.host.notes),
    }


def counts_of(survey: Survey) -> dict[str, Any]:
    """What there is to make, for JSON."""
    from workflows.enumeration_files import counted_cells

    return {
        "compositions": counted_cells(survey),
        "left_out": [entry.model_dump(mode="json") for entry in survey.left_out],
        "n_configurations": sum(counted.n_configurations for counted in survey.counts),
        "n_orderings": sum(counted.n_orderings for counted in survey.counts),
        "n_kept": n_kept_of(survey),
        "problems": survey.problems(),
    }


def print_survey(survey: Survey) -> None:
    """What there is to make, for people."""
    from rich.console import Console
    from rich.text import Text

    from workflows.cli.counts import survey_report

    console = Console()
    for part in survey_report(survey):
        console.print(part, highlight=False, soft_wrap=isinstance(part, Text))


def _written(
    survey: Survey,
    out: Path,
    settings: CandidateSettings,
    structures: Mapping[str, Structure],
    source: Path,
    is_parent: bool,
) -> dict[str, Any]:
    """Write all candidates to a folder, or those that an earlier command left."""
    from workflows.cli.counts import candidate_progress
    from workflows.cli.tables import short
    from workflows.enumeration_files import settings_sha256, write_candidates

    if (n_kept := n_kept_of(survey)) > MAX_WRITTEN:
        raise InvalidInput(
            f"{short(n_kept)} orderings, more than the {MAX_WRITTEN:,} that are written; a "
            "campaign file with when_more: sample, or lowest_ewald, takes some of them"
        )
    started_s = time.monotonic()
    n_there = 0
    with interruptions() as interrupted, candidate_progress(n_kept) as show:

        def on_progress(n: int) -> None:
            nonlocal n_there
            n_there = n
            show(n)
            if interrupted:
                raise KeyboardInterrupt

        try:
            sha256 = settings_sha256(settings, structures)
            index, n_written = write_candidates(survey, out, sha256, source.name, on_progress)
        except BaseException:
            if not interrupted:
                raise
            index = None
    if index is None:
        typer.echo(
            f"stopped; {n_there:,} candidates are in {out}, the same command goes on", err=True
        )
        raise typer.Exit(ExitCode.PENDING)
    n_candidates = index["n_candidates"]
    typer.echo(
        f"{n_written:,} candidates written in {time.monotonic() - started_s:.0f} s, "
        f"{n_candidates:,} are in {out}"
        if n_written
        else f"nothing to do: all {n_candidates:,} candidates are in {out}",
        err=True,
    )
    written = {"out": str(out), "n_candidates": n_candidates}
    return written | ({} if is_parent else {"compositions": index["compositions"]})


def _made(survey: Survey, is_parent: bool, as_json: bool) -> dict[str, Any]:
    """Degeneracies of all candidates; in text, the first candidates of a parent.

    Raises:
        InvalidInput: there are more than MAX_MADE.
    """
    from screening.candidates import candidate_blocks
    from workflows.cli.counts import candidate_progress
    from workflows.cli.tables import short
    from workflows.enumeration_files import counted_cells, labelled_degeneracies

    survey.check_limits()
    n_kept = n_kept_of(survey)
    if n_kept > MAX_MADE:
        raise InvalidInput(
            f"{short(n_kept)} orderings, more than the {MAX_MADE:,} that are made at once; count "
            "them with --count-only, or write them to a folder with --out DIR"
        )
    shown: list[CandidateInfo] = []
    degeneracies: dict[str, list[int]] = defaultdict(list)
    n_made = 0
    with candidate_progress(n_kept) as show:
        for block in candidate_blocks(survey):
            if is_parent and len(shown) < _N_SHOWN and not isinstance(block, tuple):
                shown += [block.info(i) for i in range(min(len(block), _N_SHOWN - len(shown)))]
            for label, own in labelled_degeneracies([block]):
                degeneracies[label] += own
            n_made += len(block)
            show(n_made)
    if not as_json:
        _print_made(shown, n_made, survey)
        return {}
    if not is_parent:
        compositions = counted_cells(survey)
        for entry in compositions:
            entry["degeneracies"] = degeneracies[entry["label"]]
        return {"compositions": compositions, "n_candidates": n_made}
    (cell,) = survey.cells
    orderings = [block.degeneracies.tolist() for block in cell.cell.space.blocks()]
    return {
        "degeneracies": [n for block in orderings for n in block],
        "n_crystals": n_made,
        "crystal_degeneracies": degeneracies[cell.label],
    }


def _print_made(shown: list[CandidateInfo], n_made: int, survey: Survey) -> None:
    from rich.console import Console

    from screening.candidates import MAX_NUMBERED_BY_ENERGY
    from workflows.cli.counts import candidates_table

    console = Console()
    if shown:
        console.print(candidates_table(shown))
        if n_made > len(shown):
            how = ", numbered as they are made" if n_made > MAX_NUMBERED_BY_ENERGY else ""
            console.print(
                f"… {n_made - len(shown):,} more{how}; --out DIR writes them all", highlight=False
            )
    n_merged = n_kept_of(survey) - n_made
    if n_merged:
        console.print(
            f"{n_made:,} distinct crystals: {n_merged:,} of the orderings are one of the others "
            "in another setting",
            highlight=False,
            soft_wrap=True,
        )
    elif not shown:
        console.print(f"{n_made:,} candidates", highlight=False)
