"""Jobs side by side in one worker: the same answers, and nothing of one in the other."""

from __future__ import annotations

import collections
import itertools
import time

import numpy as np
import pytest
from jobflow import Flow
from potential_jobs import (
    evaluate,
    evaluate_until_all_have_begun,
    look_around,
    notes,
    side_by_side,
    staged,
)
from pymatgen.core import Lattice, Structure

from screening.potential.evaluation import Potential
from screening.potential.graph import Crystal
from screening.potential.together import ask, run_together
from screening.prototypes.phases import reference_structure
from workflows.config import EngineSettings, RelaxSettings
from workflows.engines.chgnet import weights_file
from workflows.stages.relax import RelaxMaker

SETTINGS = RelaxSettings(max_force_eV_per_A=0.05)
N_EVALUATIONS = 12


def rock_salt(cation, anion, lattice_constant_A):
    lattice = Lattice.cubic(lattice_constant_A)
    return Structure.from_spacegroup(
        "Fm-3m", lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def overlapping():
    """KCl with one chlorine on top of another."""
    structure = rock_salt("K", "Cl", 6.3)
    structure.append("Cl", [0.5, 0.5, 0.52])
    return structure


def relaxations():
    """Small crystals, one without a solution in the middle."""
    maker = RelaxMaker(EngineSettings(), SETTINGS)
    structures = [
        *(rock_salt("K", "Cl", a).get_primitive_structure() for a in (6.1, 6.3, 6.5)),
        overlapping(),
        rock_salt("Na", "Cl", 5.5),
        reference_structure("KTaCl6").remove_oxidation_states().get_primitive_structure(),
        rock_salt("Na", "Cl", 5.7).get_primitive_structure(),
    ]
    jobs = [
        maker.make(structure, structure[0].specie.symbol, {"candidate": str(n)})
        for n, structure in enumerate(structures)
    ]
    return Flow(jobs), [job.uuid for job in jobs]


def spans(machine):
    """When each job began and ended."""
    return list(machine.table.select("select started_at, ended_at from jobs"))


def test_relaxations_side_by_side_answer_as_they_do_alone(machine, make_machine):
    other_machine = make_machine()
    flow, uuids = relaxations()
    other_machine.run(flow, n_workers=1)
    flow, _ = relaxations()
    start_s = time.perf_counter()
    machine.run(flow, n_workers=1, batching=side_by_side)
    elapsed_s = time.perf_counter() - start_s
    together, alone = (
        [each.store.get_output(uuid) for uuid in uuids] for each in (machine, other_machine)
    )
    assert [answer["state"] for answer in together] == [answer["state"] for answer in alone]
    for one, other in zip(together, alone, strict=True):
        if one["state"] == "failed":
            assert one["failure"]["code"] == other["failure"]["code"]
            continue
        assert one["result"] == other["result"]
    assert machine.states() == {"done": 6, "failed": 1}
    overlap = [a for a, b in itertools.combinations(spans(machine), 2) if a[1] > b[0]]
    assert overlap, "none ran beside another"
    busy_s = sum(answer["wall_time_s"] for answer in together)
    begin, end = min(b for b, _ in spans(machine)), max(e for _, e in spans(machine))
    assert 0.5 * (end - begin) < busy_s < elapsed_s


@pytest.fixture(scope="module")
def looked(make_machine):
    machine = make_machine()
    labels = "abcde"
    jobs = [staged(look_around(label, N_EVALUATIONS + n)) for n, label in enumerate(labels)]
    machine.run(Flow(jobs), n_workers=1, batching=side_by_side)
    assert max(begin for begin, _ in spans(machine)) < min(end for _, end in spans(machine))
    return machine, {
        label: (job.uuid, N_EVALUATIONS + n)
        for n, (label, job) in enumerate(zip(labels, jobs, strict=True))
    }


def test_each_job_has_its_folder_its_log_and_its_place_as_the_current_job(looked):
    machine, jobs = looked
    for label, (uuid, number) in jobs.items():
        folder = machine.folder / "work" / uuid
        lines = (folder / "job.log").read_text().splitlines()
        assert (
            lines[: 2 * number]
            == [
                f"{label} {folder.name} {uuid}",
                f"{label} of a process",
            ]
            * number
        )
        assert {path.name for path in folder.iterdir()} == {
            "job.log",
            *(f"{label}-{n}" for n in range(number)),
        }


def test_each_job_fails_with_its_own_message_and_log(looked):
    machine, jobs = looked
    rows = machine.table.select("select uuid, message, log_tail from jobs where lost = 1")
    told = {uuid: (message, tail) for uuid, message, tail in rows}
    assert len(told) == len(jobs)
    for label, (uuid, _) in jobs.items():
        message, tail = told[uuid]
        assert message == f"ArithmeticError: {label} has seen it"
        assert tail.splitlines()[-1] == message
        assert tail.count("Traceback") == 1


def test_progress_is_that_of_the_job_that_reported_it(looked):
    machine, jobs = looked
    fractions = collections.defaultdict(list)
    for event in machine.events:
        if event.fraction:
            fractions[event.key[0]].append(event.fraction)
    assert dict(fractions) == {
        uuid: [(n + 1) / number for n in range(number)] for uuid, number in jobs.values()
    }


@pytest.mark.parametrize(("deaths", "n_failed"), [(1, 0), (99, 1)])
def test_a_death_in_mid_batch_costs_its_neighbours_one_attempt(machine, tmp_path, deaths, n_failed):
    short, *long = [
        staged(evaluate(str(tmp_path), label, number))
        for label, number in {"short": 2, "long-1": 40, "long-2": 40, "long-3": 40}.items()
    ]
    fatal = staged(evaluate(str(tmp_path), "fatal", 20, deaths=deaths))
    summary = machine.run(Flow([short, fatal, *long]), n_workers=1, batching=side_by_side)
    assert summary.n_failed == n_failed
    told = notes(tmp_path)
    begun = collections.Counter(label for what, label, _ in told if what == "begins")
    ended = collections.Counter(label for what, label, _ in told if what == "ends")
    labels = {"short", "long-1", "long-2", "long-3"}
    assert ended == dict.fromkeys(labels, 1) | ({} if n_failed else {"fatal": 1})
    assert begun["short"] == 1, "a job that had ended ran again"
    assert begun["fatal"] == (3 if n_failed else 2)
    assert all(begun[label] == 2 for label in labels - {"short"})
    first = told[0][2]
    after = [(what, label) for what, label, pid in told if pid != first and label != "fatal"]
    for begins, ends in zip(after[::2], after[1::2], strict=True):  # alone, one after the other
        assert (begins[0], ends) == ("begins", ("ends", begins[1]))


def test_nothing_overtakes_a_job_that_may_not_join(machine, tmp_path):
    folder = str(tmp_path)
    jobs = [
        staged(evaluate(folder, "first", 30)),
        staged(evaluate(folder, "second", 30)),
        staged(evaluate(folder, "by-itself", 5), stage="stability"),
        staged(evaluate(folder, "last", 5)),
    ]
    machine.run(Flow(jobs), n_workers=1, batching=side_by_side)
    told = [(what, label) for what, label, _ in notes(tmp_path)]
    assert told[:2] == [("begins", "first"), ("begins", "second")]
    assert told[4:] == [
        ("begins", "by-itself"),
        ("ends", "by-itself"),
        ("begins", "last"),
        ("ends", "last"),
    ]


def test_a_worker_that_is_first_leaves_the_others_their_share(machine, tmp_path):
    """Which is ready some time before the second, with room for all jobs."""
    jobs = [staged(evaluate_until_all_have_begun(str(tmp_path), str(n), 8)) for n in range(8)]
    machine.run(Flow(jobs), n_workers=2, batching=side_by_side)
    n_begun = collections.Counter(pid for _, _, pid in notes(tmp_path))
    assert sorted(n_begun.values()) == [4, 4]


class Cramped(Potential):
    """Runs out of memory with more than one structure, or with any as large as this."""

    def evaluate(self, crystals):
        if len(crystals) > 1 or len(crystals[0].numbers) > 2:
            raise MemoryError("too much")
        return super().evaluate(crystals)


def test_want_of_memory_ends_only_what_does_not_fit_alone():
    potential = Cramped(weights_file(EngineSettings().model))
    small, large = (
        Crystal(np.array(cell.atomic_numbers), cell.cart_coords, cell.lattice.matrix)
        for cell in (rock_salt("K", "Cl", 6.3).get_primitive_structure(), overlapping())
    )
    programs = [
        lambda crystal=crystal: ask(potential, crystal) for crystal in (small, large, small)
    ]
    waiting = iter(programs)
    ended = {end.index: end for end in run_together(lambda: next(waiting, None), 100)}
    assert isinstance(ended[1].error, MemoryError)
    energies_eV = [ended[index].value.energy_eV for index in (0, 2)]
    assert energies_eV == [potential.evaluate([small])[0].energy_eV] * 2
