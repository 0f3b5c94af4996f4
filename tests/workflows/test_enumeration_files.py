"""Candidates in files: stopped anywhere, gone on with, the same in the end."""

import fcntl
import functools
import gzip
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from screening.candidate_settings import CandidateSettings, Family, StructureFile
from screening.candidates import iterate_candidates
from screening.errors import InvalidInput, NotFinished
from screening.survey import survey_candidates
from workflows import enumeration_files
from workflows.enumeration_files import read_candidates, settings_sha256, write_candidates

ROOT = Path(__file__).parents[2]


@functools.cache
def ktacl6(n_of_32=16):
    """K2PtCl6 type with so many of 32 K sites filled."""
    return Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(9.894),
        ["Ta", {"K": n_of_32 / 32}, "Cl"],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
    )


@functools.cache
def survey_of(supercell=(2, 1, 1), n_of_32=16):
    file = StructureFile(
        path="k.cif", mobile_ion="K", supercell=supercell, max_orderings=10_000_000
    )
    return survey_candidates(CandidateSettings(files=(file,)), {"k.cif": ktacl6(n_of_32)})


def write(folder, survey=None, sha256="0", on_progress=lambda n: None):
    return write_candidates(survey or survey_of(), folder, sha256, "k.cif", on_progress)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(enumeration_files, "BATCH_SIZE", 20)


def test_what_is_written(tmp_path):
    told = []
    index, n_written = write(tmp_path / "new" / "out", on_progress=told.append)
    assert n_written == index["n_candidates"] == 279
    assert told == [279]
    out = tmp_path / "new" / "out"
    assert json.loads((out / "enumeration.json").read_text()) == index
    (cell,) = index["compositions"]
    assert (cell["n_configurations"], cell["n_orderings"]) == (12_870, 283)
    assert (cell["n_candidates"], cell["n_configurations_of_candidates"]) == (279, 12_870)
    assert sorted(path.name for path in out.iterdir()) == [
        "candidates-00000.jsonl.gz", "enumeration.json", "structures",
    ]  # fmt: skip
    wanted = list(iterate_candidates(survey_of()))
    found = list(read_candidates(out))
    assert [c.id for c in found] == [c.id for c in wanted]
    assert [c.model_dump() for c in found[::50]] == [c.model_dump() for c in wanted[::50]]
    cifs = {path.stem: path for path in (out / "structures").iterdir()}
    assert cifs.keys() == {candidate.id for candidate in wanted}
    for candidate in wanted[:3]:
        read = Structure.from_file(cifs[candidate.id])
        assert read.composition == candidate.structure.composition
        assert read.volume == pytest.approx(candidate.structure.volume, rel=1e-6)


@pytest.mark.usefixtures("small_batches")
def test_batches_are_whole_and_in_order(tmp_path):
    write(tmp_path)
    paths = sorted(tmp_path.glob("candidates-*"))
    sizes = []
    for path in paths:
        with gzip.open(path) as lines:
            sizes.append(sum(1 for _ in lines))
    assert sizes == [20] * 13 + [19]
    numbers = [candidate.origin.ordering for candidate in read_candidates(tmp_path)]
    assert numbers == list(range(1, 280))


def test_batches_across_compositions(tmp_path, monkeypatch):
    monkeypatch.setattr(enumeration_files, "BATCH_SIZE", 4)
    family = Family(
        formula="A(x)TaCl6",
        prototype="k2ptcl6",
        elements={"A": ["K", "Na"]},
        x=[1, 2],
        oxidation_states={"Ta": [4, 5]},
    )
    survey = survey_candidates(CandidateSettings(families=(family,)))
    index, _ = write(tmp_path, survey)
    assert [entry["n_candidates"] for entry in index["compositions"]] == [6, 1, 6, 1]
    ids = [candidate.id for candidate in iterate_candidates(survey)]
    assert [candidate.id for candidate in read_candidates(tmp_path)] == ids
    assert len(list(tmp_path.glob("candidates-*"))) == 4


def test_a_finished_folder_is_left_as_it_is(tmp_path):
    index, _ = write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write(tmp_path) == (index, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.usefixtures("small_batches")
def test_killed_at_random_moments_it_ends_the_same(tmp_path):
    survey_of()
    started_s = time.monotonic()
    write(tmp_path / "undisturbed")
    usual_s = time.monotonic() - started_s
    rng = random.Random(5)
    fork = multiprocessing.get_context("fork")
    n_kills = 0
    states = set()
    for attempt in range(100):  # longer and longer, so that some attempt gets to the end
        child = fork.Process(target=write, args=(tmp_path / "killed",))
        child.start()
        child.join(rng.uniform(0, 0.02 + 0.01 * attempt) * usual_s)
        child.kill()
        child.join()
        if child.exitcode == 0:
            break
        n_kills += 1
        folder = tmp_path / "killed"
        states.add(len(list(folder.glob("candidates-*.gz"))) if folder.exists() else -1)
    assert child.exitcode == 0
    assert n_kills >= 3
    assert len(states) >= 2
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("n_done", [0, 1, 7, 13])
def test_only_what_is_missing_is_made(tmp_path, monkeypatch, n_done):
    write(tmp_path / "all")
    made = []
    lines = enumeration_files.candidate_lines
    stop = n_done * 20

    def stopping(block):
        for line in lines(block):
            if stop is not None and len(made) == stop:
                raise KeyboardInterrupt
            made.append(line)
            yield line

    monkeypatch.setattr(enumeration_files, "candidate_lines", stopping)
    told = []
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", on_progress=told.append)
    assert told == [20 * (i + 1) for i in range(n_done)]
    stop = None
    made.clear()
    _, n_written = write(tmp_path / "out")
    assert n_written == len(made) == 279 - 20 * n_done
    assert contents(tmp_path / "out") == contents(tmp_path / "all")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "", r"out: holds notes.txt, which is no part of .*new or an empty folder"),
        ("enumeration.json", "{}", r"enumeration.json: cannot be read \('format'\); choose"),
        ("enumeration.json", "no", r"enumeration.json: cannot be read \(Expecting value"),
    ],
)
def test_a_folder_of_something_else(tmp_path, name, text, message):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(InvalidInput, match=message):
        write(folder)
    assert contents(folder) == {name: text.encode()}


def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InvalidInput, match="out: is a file; --out needs a folder"):
        write(tmp_path / "out")


def test_other_settings(tmp_path):
    write(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(InvalidInput, match=r"other settings or structures \(k.cif\); .*delete"):
        write(tmp_path, sha256="1")
    assert contents(tmp_path) == before


def test_another_version(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(enumeration_files, "version", lambda name: "99.0")
    with pytest.raises(InvalidInput, match=r"written by halideflow 0.*this is 99.0.*start anew"):
        write(tmp_path)


def test_too_many_orderings_write_nothing(tmp_path):
    file = StructureFile(path="k.cif", mobile_ion="K", supercell=(2, 1, 1))
    survey = survey_candidates(CandidateSettings(files=(file,)), {"k.cif": ktacl6()})
    with pytest.raises(InvalidInput, match=r"283 distinct orderings .*max_orderings=100"):
        write(tmp_path / "out", survey)
    assert not (tmp_path / "out").exists()


def test_one_writer_at_a_time(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(NotFinished, match="another process is writing to it; wait"):
            write(tmp_path)
    finally:
        os.close(handle)
    assert not contents(tmp_path)
    write(tmp_path)


def test_settings_are_known_by_what_they_give():
    def sha256(structure=None, **changes):
        file = StructureFile(**{"path": "k.cif", "mobile_ion": "K", **changes})
        return settings_sha256(CandidateSettings(files=(file,)), {"k.cif": structure or ktacl6()})

    moved = ktacl6().copy().translate_sites([0], [0.1, 0, 0])
    assert sha256() == sha256(ktacl6().copy())
    assert len({sha256(), sha256(seed=1), sha256(supercell=(2, 1, 1)), sha256(moved)}) == 4


MEASURE = """
import resource, sys
from pathlib import Path
from tests.workflows.test_enumeration_files import survey_of, write

def peak_MB():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

out = Path(sys.argv[1])
write(out / "few")
before_MB = peak_MB()
index, _ = write(out / "many", survey_of((2, 2, 1), int(sys.argv[2])))
print(index["n_candidates"], peak_MB() - before_MB)
"""


def grown_MB(folder, n_of_32):
    """Candidates, and by how much the peak of memory lies above that of 279 candidates."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(n_of_32)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    n_candidates, grown = done.stdout.split()
    return int(n_candidates), float(grown)


def test_memory_for_forty_thousand(tmp_path):
    n_candidates, grown = grown_MB(tmp_path, 8)
    assert n_candidates > 40_000
    assert grown < 60  # as JSON they are 400 MB


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path):
    n_some, some_MB = grown_MB(tmp_path / "some", 9)
    n_more, more_MB = grown_MB(tmp_path / "more", 11)
    assert n_more > 4 * n_some > 400_000
    assert more_MB < 1.3 * some_MB + 10
