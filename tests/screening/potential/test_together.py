"""Programs written for one structure, run as one batch: alike, apart, in turn."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.optimize import FIRE
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.ase import AseAtomsAdaptor

from screening.errors import EngineFailure
from screening.potential.calculator import PotentialCalculator
from screening.potential.cell_filter import CellFilter
from screening.potential.evaluation import Evaluation, Potential
from screening.potential.graph import Crystal
from screening.potential.together import Ended, ask, busy_s, run_together
from screening.prototypes.phases import reference_structure
from workflows.engines.chgnet import weights_file

MAX_FORCE_EV_PER_A = 0.03
ALL = 10**6  # atoms: room for every program at once


@functools.cache
def potential(model: str = "0.3.0") -> Potential:
    return Potential(weights_file(model), "cpu")


def rattled(phase: str, seed: int = 0, repeat: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """A reference phase, 2 % too wide and every atom off its site."""
    structure = reference_structure(phase).remove_oxidation_states()
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False) * repeat
    atoms.set_cell(atoms.cell * 1.02, scale_atoms=True)
    atoms.rattle(0.08, seed=seed)
    return atoms


def relax(atoms: Atoms, model: str = "0.3.0") -> tuple[Atoms, int]:
    """Relaxed atoms with their energy, and the number of steps."""
    atoms = atoms.copy()
    atoms.calc = PotentialCalculator(potential(model))
    optimiser = FIRE(CellFilter(atoms), logfile=None)
    assert optimiser.run(fmax=MAX_FORCE_EV_PER_A, steps=300)
    return atoms, optimiser.get_number_of_steps()


def together(
    programs: Sequence[Callable[[], Any]], n_atoms: int = ALL, **more: Any
) -> list[Ended[Any]]:
    left = iter(programs)
    return list(run_together(lambda: next(left, None), n_atoms, **more))


def in_order(ended: Sequence[Ended[Any]]) -> list[Any]:
    """Values of programs that all came to their end, in the order that they were started."""
    assert [one.error for one in ended] == [None] * len(ended)
    return [one.value for one in sorted(ended, key=lambda one: one.index)]


# ---- relaxations ----

CELLS = {
    "KCl": rattled("KCl"),
    "NaCl": rattled("NaCl", 1, (2, 1, 1)),
    "Li3YCl6": rattled("Li3YCl6", 2),
    "KTaCl6": rattled("KTaCl6", 3),
}


@pytest.fixture(scope="module")
def one_by_one() -> dict[str, tuple[Atoms, int]]:
    return {name: relax(atoms) for name, atoms in CELLS.items()}


@pytest.mark.parametrize("n_atoms", [20, ALL])
def test_relaxations_end_as_they_do_one_by_one(one_by_one, n_atoms):
    """To far less than anything here is asked for."""
    ended = together([functools.partial(relax, atoms) for atoms in CELLS.values()], n_atoms)
    for (alone, n_steps), (relaxed, n_steps_together) in zip(
        one_by_one.values(), in_order(ended), strict=True
    ):
        assert n_steps_together == n_steps
        per_atom_eV = [a.get_potential_energy() / len(a) for a in (alone, relaxed)]
        assert per_atom_eV[1] == pytest.approx(per_atom_eV[0], rel=0, abs=1e-6)
        np.testing.assert_allclose(relaxed.positions, alone.positions, rtol=0, atol=1e-4)
        np.testing.assert_allclose(relaxed.cell, alone.cell, rtol=0, atol=1e-4)


def test_one_at_a_time_is_bitwise_the_same(one_by_one):
    ended = together([functools.partial(relax, atoms) for atoms in CELLS.values()], n_atoms=1)
    assert [one.index for one in ended] == [0, 1, 2, 3]
    for (alone, _), (relaxed, _) in zip(one_by_one.values(), in_order(ended), strict=True):
        np.testing.assert_array_equal(relaxed.positions, alone.positions)


def test_each_leaves_when_it_is_done(one_by_one):
    """Those with fewer steps come first, and none costs more evaluations than alone."""
    ended = together([functools.partial(relax, atoms) for atoms in CELLS.values()])
    n_steps = [n for _, n in one_by_one.values()]
    assert len(set(n_steps)) > 2
    assert [n_steps[one.index] for one in ended] == sorted(n_steps)
    for one in ended:
        assert one.value[0].calc.n_evaluations == n_steps[one.index] + 1


def test_two_potentials_in_one_batch():
    models = ["0.3.0", "r2scan", "0.3.0", "r2scan"]
    phases = ["KCl", "KCl", "KTaCl6", "KTaCl6"]
    cells = [rattled(phase) for phase in phases]
    alone = [relax(*one) for one in zip(cells, models, strict=True)]
    ended = together([functools.partial(relax, *one) for one in zip(cells, models, strict=True)])
    for (one, n_steps), (other, n_steps_together) in zip(alone, in_order(ended), strict=True):
        assert n_steps_together == n_steps
        assert other.get_potential_energy() == pytest.approx(
            one.get_potential_energy(), rel=0, abs=1e-5
        )
    volumes_A3 = [atoms.get_volume() for atoms, _ in alone]
    assert abs(volumes_A3[1] - volumes_A3[0]) > 1  # they do differ: these are two functionals


def test_a_relaxation_that_fails_ends_alone(one_by_one):
    """Overlapping atoms, an element that nobody knows, and a programming error."""
    overlapping = CELLS["KCl"].copy()
    overlapping.positions[1] = overlapping.positions[0] + 0.1
    unknown = CELLS["KCl"].copy()
    unknown.symbols[0] = "Po"
    programs = [
        functools.partial(relax, CELLS["KTaCl6"]),
        functools.partial(relax, overlapping),
        functools.partial(relax, unknown),
        lambda: {}["missing"],
        functools.partial(relax, CELLS["KCl"]),
    ]
    ended = together(programs)
    assert [one.index for one in ended[:3]] == [3, 1, 2]  # the last of them never asks
    errors = {one.index: one.error for one in ended}
    assert isinstance(errors[1], EngineFailure)
    assert "closer than 0.5 Å" in str(errors[1])
    assert isinstance(errors[2], EngineFailure)
    assert "never fitted to Po" in str(errors[2])
    assert isinstance(errors[3], KeyError)
    for index, name in ((0, "KTaCl6"), (4, "KCl")):
        (relaxed, n_steps), *_ = (one.value for one in ended if one.index == index)
        alone, n_steps_alone = one_by_one[name]
        assert n_steps == n_steps_alone
        np.testing.assert_allclose(relaxed.positions, alone.positions, rtol=0, atol=1e-4)


def test_a_program_may_catch_its_failure_and_go_on(one_by_one):
    def persistent() -> tuple[Atoms, int]:
        atoms = CELLS["KCl"].copy()
        atoms.positions[1] = atoms.positions[0]
        with pytest.raises(EngineFailure):
            relax(atoms)
        return relax(CELLS["KCl"])

    (_, n_steps), _ = in_order(together([persistent, functools.partial(relax, CELLS["KTaCl6"])]))
    assert n_steps == one_by_one["KCl"][1]


def test_a_batch_inside_a_batch_is_evaluated_by_itself(one_by_one):
    def nested() -> list[tuple[Atoms, int]]:
        return in_order(together([functools.partial(relax, CELLS["KCl"])] * 2))

    ended = together([nested, functools.partial(relax, CELLS["KTaCl6"])])
    inner, (_, n_steps) = in_order(ended)
    assert n_steps == one_by_one["KTaCl6"][1]
    for atoms, n_inner in inner:
        alone, n_alone = one_by_one["KCl"]
        assert n_inner == n_alone
        np.testing.assert_allclose(atoms.positions, alone.positions, rtol=0, atol=1e-4)


def test_asked_outside_of_a_batch_it_answers_at_once():
    atoms = CELLS["KTaCl6"]
    crystal = Crystal(atoms.numbers.astype("int64"), atoms.positions, atoms.cell.array)
    answer, direct = ask(potential(), crystal), potential().evaluate([crystal])[0]
    assert isinstance(answer, Evaluation)
    assert isinstance(direct, Evaluation)
    assert answer.energy_eV == direct.energy_eV
    np.testing.assert_array_equal(answer.forces_eV_per_A, direct.forces_eV_per_A)


# ---- whose time it is ----


def timed(program: Callable[[], Any], *arguments: Any) -> float:
    """How long a program was busy."""
    start_s = busy_s()
    program(*arguments)
    return busy_s() - start_s


def test_what_programs_take_adds_up_to_what_passed():
    relax(CELLS["KCl"])  # nothing is to be loaded or compiled any more
    start_s = time.perf_counter()
    ended = together([functools.partial(timed, relax, atoms) for atoms in CELLS.values()])
    elapsed_s = time.perf_counter() - start_s
    shares_s = in_order(ended)
    assert 0.9 * elapsed_s < sum(shares_s) <= elapsed_s
    assert all(share_s > 0 for share_s in shares_s)


def test_the_time_of_others_is_not_ones_own():
    def slow() -> None:
        ask(SPRINGS, crystal_of(1))
        time.sleep(0.2)
        ask(SPRINGS, crystal_of(1))

    def quick() -> None:
        for _ in range(4):
            ask(SPRINGS, crystal_of(1))

    slow_s, quick_s = in_order(together([lambda: timed(slow), lambda: timed(quick)]))
    assert slow_s > 0.2
    assert quick_s < 0.2


def test_outside_of_a_batch_the_clock_is_that_of_the_wall():
    start_s = busy_s()
    time.sleep(0.05)
    assert busy_s() - start_s >= 0.05


# ---- scheduling: springs instead of physics ----


class Springs:
    """Every atom on a spring to the origin; remembers how many atoms each batch held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def evaluate(self, crystals: Sequence[Crystal]) -> list[Evaluation]:
        self.batches.append([len(crystal.numbers) for crystal in crystals])
        return [
            Evaluation(
                float((crystal.positions_A**2).sum() / 2), -crystal.positions_A, np.zeros((3, 3))
            )
            for crystal in crystals
        ]


SPRINGS: Any = Springs()


def crystal_of(n_atoms: int, place_A: float = 0.0) -> Crystal:
    return Crystal(np.ones(n_atoms, np.int64), np.full((n_atoms, 3), place_A), np.eye(3))


class Failed(Exception):
    """What a program ends in, if it is to."""


def walk(springs: Any, n_atoms: int, n_questions: int, fails: bool) -> tuple[float, int]:
    """Ask so many times, each time for another place, and check whose answer it is."""
    for n in range(n_questions):
        place_A = float(n_atoms + n)
        answer = ask(springs, crystal_of(n_atoms, place_A))
        assert isinstance(answer, Evaluation)
        np.testing.assert_array_equal(answer.forces_eV_per_A, np.full((n_atoms, 3), -place_A))
    if fails:
        raise Failed
    return n_atoms, n_questions


WALKS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5), st.booleans()), max_size=12)


@given(walks=WALKS, room=st.integers(1, 40))
def test_all_programs_end_once_with_their_own_answers(walks, room):
    springs = Springs()
    ended = together([functools.partial(walk, springs, *one) for one in walks], room)
    assert sorted(one.index for one in ended) == list(range(len(walks)))
    for one in ended:
        n_atoms, n_questions, fails = walks[one.index]
        assert one.value == (None if fails else (n_atoms, n_questions))
        assert isinstance(one.error, Failed) == fails
    assert sum(len(batch) for batch in springs.batches) == sum(n for _, n, _ in walks)


@given(walks=WALKS, room=st.integers(1, 40))
def test_the_next_is_taken_when_there_is_room_and_never_before(walks, room):
    """Programs go on in the order they were taken, so the newest of a batch is its last."""
    n_left = len(walks)

    def take() -> Callable[[], tuple[float, int]] | None:
        nonlocal n_left
        if not n_left:
            return None
        n_left -= 1
        return functools.partial(walk, springs, *walks[len(walks) - n_left - 1])

    class Watched(Springs):
        def evaluate(self, crystals: Sequence[Crystal]) -> list[Evaluation]:
            n_atoms = [len(crystal.numbers) for crystal in crystals]
            assert sum(n_atoms[:-1]) < room
            assert sum(n_atoms) >= room or not n_left
            return super().evaluate(crystals)

    springs = Watched()
    assert len(list(run_together(take, room))) == len(walks)


@given(walks=WALKS, room=st.integers(1, 40))
def test_the_order_of_ends_is_always_the_same(walks, room):
    orders = []
    for _ in range(2):
        switches: list[int] = []
        springs = Springs()
        programs = [functools.partial(walk, springs, *one) for one in walks]
        ended = together(programs, room, on_switch=switches.append)
        orders.append(([one.index for one in ended], switches, springs.batches))
    assert orders[0] == orders[1]
    indices, switches, _ = orders[0]
    n_switches = [n_questions + 1 for _, n_questions, _ in walks]
    assert [switches.count(index) for index in range(len(walks))] == n_switches
    if room > sum(n_atoms for n_atoms, _, _ in walks):  # all at once: the shortest first
        assert indices == sorted(range(len(walks)), key=lambda index: (walks[index][1], index))


def test_programs_that_arrive_later_are_taken_too():
    """`take` is asked again after every evaluation, so a queue may grow meanwhile."""
    springs = Springs()
    queue = [functools.partial(walk, springs, 1, 3, False)]

    def growing() -> None:
        ask(springs, crystal_of(2))
        queue.append(functools.partial(walk, springs, 3, 1, False))

    queue.append(growing)
    ended = list(run_together(lambda: queue.pop(0) if queue else None, ALL))
    assert [one.index for one in ended] == [1, 2, 0]
    assert springs.batches == [[1, 2], [1, 3], [1]]


def test_structures_without_atoms_are_answered_too():
    assert in_order(together([functools.partial(walk, SPRINGS, 0, 2, False)])) == [(0, 2)]


def test_no_programs_is_an_empty_batch():
    assert together([]) == []


# ---- leaving early ----


def endless(springs: Any, told: list[str], name: str) -> None:
    try:
        while True:
            ask(springs, crystal_of(1))
    finally:
        told.append(name)


def left_behind() -> int:
    gc.collect()
    return sum(type(one).__name__ == "_Member" for one in gc.get_objects())


def test_a_batch_that_is_left_early_ends_its_programs():
    told: list[str] = []
    before = left_behind()
    programs = iter(
        [
            functools.partial(endless, SPRINGS, told, "first"),
            functools.partial(walk, SPRINGS, 1, 2, False),
            functools.partial(endless, SPRINGS, told, "last"),
        ]
    )
    batch = run_together(lambda: next(programs, None), ALL)
    assert isinstance(batch, Iterator)
    assert next(batch).index == 1
    batch.close()
    assert told == ["first", "last"]
    assert left_behind() == before
    assert in_order(together([functools.partial(walk, SPRINGS, 2, 3, False)])) == [(2, 3)]


def test_an_interrupt_comes_through_and_the_others_clean_up():
    told: list[str] = []

    def interrupted() -> None:
        ask(SPRINGS, crystal_of(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together([functools.partial(endless, SPRINGS, told, "other"), interrupted])
    assert told == ["other"]


class Small(Springs):
    """Has memory for so many atoms and no more."""

    def evaluate(self, crystals: Sequence[Crystal]) -> list[Evaluation]:
        if sum(len(crystal.numbers) for crystal in crystals) > 10:
            raise MemoryError("10 atoms at most")
        return super().evaluate(crystals)


def test_a_batch_that_memory_does_not_hold_is_evaluated_one_by_one():
    """Who is too large for it alone ends alone, and may clean up."""
    small, told = Small(), []

    def large() -> None:
        try:
            ask(small, crystal_of(11))
        finally:
            told.append("large")

    walks = [functools.partial(walk, small, 6, 2, False)] * 2
    ended = together([walks[0], large, walks[1]])
    errors = {one.index: one.error for one in ended}
    assert isinstance(errors[1], MemoryError)
    assert told == ["large"]
    assert {one.index: one.value for one in ended if one.index != 1} == {0: (6, 2), 2: (6, 2)}


def test_floating_point_settings_of_one_program_are_not_those_of_another():
    def strict() -> None:
        with np.errstate(over="raise"):
            ask(SPRINGS, crystal_of(1))
            with pytest.raises(FloatingPointError):
                np.float64(1e308) * 10

    def lenient() -> float:
        with np.errstate(over="ignore"):
            ask(SPRINGS, crystal_of(1))
            return float(np.float64(1e308) * 10)

    assert in_order(together([strict, lenient, strict])) == [None, np.inf, None]
