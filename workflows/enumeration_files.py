"""Candidates in files, written in batches: a million of them can be stopped and gone on with.

enumeration.json            what they are: counts, what is left out, whether all are written
candidates-00000.jsonl.gz   the first 10,000, one document a line; candidates-00001.jsonl.gz ...
structures/                 a CIF file each, where there are few

Every file gets its name once it is complete: whatever kills the writing, what is there is whole,
and the next one goes on after it. The finished folder is the same, byte for byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from screening.candidate_json import candidate_lines
from screening.candidates import CandidateBlock, candidate_blocks
from screening.documents import Candidate
from screening.errors import InvalidInput, NotFinished
from screening.prototypes.library import library_sha256

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from screening.candidate_settings import CandidateSettings
    from screening.survey import Survey, SurveyedCell

BATCH_SIZE = 10_000
MAX_CIFS = 500
_FORMAT = 1  # of the files; a folder of another one is refused
_COMPRESSION = 3  # of 1 to 9; candidates differ so little that more would only take longer
_INDEX = "enumeration.json"
_PARTIAL = ".partial"


def write_candidates(
    survey: Survey,
    folder: Path,
    settings_sha256: str,
    name: str,
    on_progress: Callable[[int], None] = lambda n_written: None,
) -> tuple[dict[str, Any], int]:
    """Write all candidates, or what is left of them.

    Args:
        survey: says what they are.
        folder: made if it is not there.
        settings_sha256: see `settings_sha256`; a folder of others is refused.
        name: of the config or the parent, for people.
        on_progress: told after each batch how many candidates are there.

    Returns:
        The contents of enumeration.json, and how many candidates were written now.

    Raises:
        InvalidInput: the folder is of something else, or there are more orderings than allowed.
        NotFinished: another process is writing to it.
    """
    survey.check_limits()
    index: dict[str, Any] = {
        "format": _FORMAT,
        "halideflow": version("halideflow"),
        "name": name,
        "settings_sha256": settings_sha256,
        "finished": False,
        "n_candidates": None,
        "compositions": counted_cells(survey),
        "left_out": [entry.model_dump(mode="json") for entry in survey.left_out],
    }
    if (found := _index_of(folder, index)) and found["finished"]:
        return found, 0
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _write_json(index, folder / _INDEX)
        n_made, n_written = Counter[str](), 0
        degeneracies = Counter[str]()
        for number, batch in enumerate(_batches(candidate_blocks(survey))):
            path = folder / f"candidates-{number:05}.jsonl.gz"
            if not path.exists():
                _write_batch(batch, path)
                n_written += sum(map(len, batch))
            for label, own in labelled_degeneracies(batch):
                n_made[label] += len(own)
                degeneracies[label] += sum(own)
            on_progress(n_made.total())
        if n_made.total() <= MAX_CIFS:
            _write_cifs(folder)
        for entry in index["compositions"]:
            entry["n_candidates"] = n_made[entry["label"]]
            entry["n_configurations_of_candidates"] = degeneracies[entry["label"]]
        index |= {"finished": True, "n_candidates": n_made.total()}
        _write_json(index, folder / _INDEX)
    return index, n_written


def settings_sha256(settings: CandidateSettings, structures: Mapping[str, Structure]) -> str:
    """The same for settings and structures that give the same candidates."""
    content = {
        "settings": settings.model_dump(mode="json"),
        "structures": {path: s.as_dict(verbosity=0) for path, s in structures.items()},
        "prototypes": library_sha256() if settings.families else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_candidates(folder: Path) -> Iterator[Candidate]:
    """The candidates that are written, one after the other."""
    for line in _lines(folder):
        yield Candidate.model_validate_json(line)


def _lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("candidates-*.jsonl.gz")):
        with gzip.open(path) as lines:
            yield from lines


def counted_cells(survey: Survey) -> list[dict[str, Any]]:
    """Every composition in every supercell as JSON; numbers stay numbers, whatever their size."""
    return [
        {
            "label": surveyed.label,
            **surveyed.counted.model_dump(mode="json"),
            "n_configurations": surveyed.counted.n_configurations,
            "n_orderings": surveyed.counted.n_orderings,
            "n_kept": 0 if is_refused(surveyed) else surveyed.counted.n_kept,
        }
        for surveyed in survey.cells
    ]


def is_refused(surveyed: SurveyedCell) -> bool:
    """Whether it has more orderings than the settings allow, so that nothing is made."""
    entry = surveyed.entry
    return entry.when_more == "error" and surveyed.counted.n_orderings > entry.max_orderings


def labelled_degeneracies(
    blocks: Iterable[Sequence[Candidate]],
) -> Iterator[tuple[str, list[int]]]:
    """Degeneracies of candidates, with the label of their composition and supercell."""
    for block in blocks:
        if isinstance(block, CandidateBlock):
            yield block.surveyed.label, block.orderings.degeneracies.tolist()
        else:
            for candidate in block:
                yield candidate.id.rpartition("-")[0], [candidate.origin.degeneracy]


def _batches(blocks: Iterable[Sequence[Candidate]]) -> Iterator[list[Sequence[Candidate]]]:
    """The candidates in portions of BATCH_SIZE, and what is left."""
    batch: list[Sequence[Candidate]] = []
    room = BATCH_SIZE
    for block in blocks:
        start = 0
        while start < len(block):
            batch.append(block[start : start + room])
            start += len(batch[-1])
            room -= len(batch[-1])
            if not room:
                yield batch
                batch, room = [], BATCH_SIZE
    if batch:
        yield batch


def _write_batch(batch: Sequence[Sequence[Candidate]], path: Path) -> None:
    with (
        _named_when_complete(path) as file,
        gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as compressed,
    ):
        for block in batch:
            for line in candidate_lines(block):
                compressed.write(line)


def _write_cifs(folder: Path) -> None:
    """A CIF file of each candidate that has none yet."""
    structures = folder / "structures"
    structures.mkdir(exist_ok=True)
    for line in _lines(folder):
        path = structures / f"{orjson.loads(line)['id']}.cif"
        if not path.exists():
            structure = Candidate.model_validate_json(line).structure
            with _named_when_complete(path) as file:
                file.write(structure.to(fmt="cif").encode())


def _write_json(document: Mapping[str, Any], path: Path) -> None:
    with _named_when_complete(path) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")


@contextlib.contextmanager
def _named_when_complete(path: Path) -> Iterator[IO[bytes]]:
    partial = path.with_name(path.name + _PARTIAL)
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _index_of(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier run wrote about the folder; None where there was none.

    Raises:
        InvalidInput: the folder is of something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder}: is a file; --out needs a folder")
    if not (folder / _INDEX).exists():
        others = [path.name for path in folder.iterdir()] if folder.exists() else []
        if strangers := sorted(name for name in others if not name.endswith(_PARTIAL)):
            raise InvalidInput(
                f"{folder}: holds {strangers[0]}, which is no part of an enumeration; choose a new "
                "or an empty folder"
            )
        return None
    try:
        index: dict[str, Any] = json.loads((folder / _INDEX).read_bytes())
        made_by = index["format"], index["halideflow"]
        other = index["settings_sha256"] != wanted["settings_sha256"]
        name, _ = index["name"], index["finished"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{folder / _INDEX}: cannot be read ({error}); choose another folder"
        ) from error
    if made_by != (wanted["format"], wanted["halideflow"]):
        raise InvalidInput(
            f"{folder}: written by halideflow {made_by[1]}, this is {wanted['halideflow']}, which "
            "may number candidates otherwise; choose another folder, or delete this one to start "
            "anew"
        )
    if other:
        raise InvalidInput(
            f"{folder}: holds candidates of other settings or structures ({name}); choose another "
            "folder, or delete this one to start anew"
        )
    return index


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one who writes to the folder; the lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotFinished(
                f"{folder}: another process is writing to it; wait for it, or stop it and run this "
                "again"
            ) from error
        yield
    finally:
        os.close(handle)
