"""Programs that were written for one structure, evaluated as one batch.

An optimiser or integrator asks its calculator for forces in the middle of a step. Each program here
runs in a greenlet of its own and stops at that question; when all have asked, their structures are
evaluated together and each goes on with its answer. A program that ends makes room for the next, so
none waits for the slowest. What each computes is what it computes alone: on a CPU in one thread bit
by bit, else to rounding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

from screening.errors import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from screening.potential.evaluation import Evaluation, Potential
    from screening.potential.graph import Crystal

T = TypeVar("T")


@dataclass(frozen=True)
class Ended(Generic[T]):
    """How a program of a batch ended.

    Args:
        index: its place among the programs that were started.
        value: what it returned, unless it failed.
        error: the exception that it ended in, if any.
    """

    index: int
    value: T | None
    error: Exception | None


@dataclass(frozen=True)
class _Question:
    """What a program waits for."""

    potential: Potential
    crystal: Crystal


class _Member(greenlet):  # type: ignore[misc]  # greenlet is not typed
    """A program of a batch.

    Args:
        program: what it runs.
        index: its place among the programs that were started.
    """

    def __init__(self, program: Callable[[], Any], index: int) -> None:
        super().__init__(program)
        self.index = index
        self.busy_s = 0.0  # its own time, and its atoms' share of that of evaluations
        self.resumed_at = 0.0


def ask(potential: Potential, crystal: Crystal) -> Evaluation | EngineFailure:
    """Evaluate a structure: with those of the other programs inside a batch, or at once."""
    member = getcurrent()
    if isinstance(member, _Member):
        answer: Evaluation | EngineFailure = member.parent.switch(_Question(potential, crystal))
        return answer
    return potential.evaluate([crystal])[0]


def busy_s() -> float:
    """A clock for what a program takes: inside a batch, it stands still while others run."""
    member = getcurrent()
    if isinstance(member, _Member):
        return member.busy_s + time.perf_counter() - member.resumed_at
    return time.perf_counter()


def run_together(
    take: Callable[[], Callable[[], T] | None],
    n_atoms: int,
    on_switch: Callable[[int], None] = lambda index: None,
) -> Iterator[Ended[T]]:
    """Run programs that ask `PotentialCalculator`s, and yield each as it ends.

    Args:
        take: gives the next program, or None where there is none now; asked again after every
            evaluation, until none runs any more.
        n_atoms: the next program is taken while the structures of those that run hold fewer.
        on_switch: told the index of a program whenever it is about to go on.
    """
    waiting: dict[_Member, _Question] = {}
    running: dict[_Member, None] = {}
    n_taken = 0

    def go_on(member: _Member, answer: Evaluation | Exception | None = None) -> Iterator[Ended[T]]:
        """Let a program run to its next question, or to its end."""
        on_switch(member.index)
        running[member] = None
        member.resumed_at = time.perf_counter()
        result: Any = None
        error: Exception | None = None
        try:
            if isinstance(answer, Exception) and not isinstance(answer, EngineFailure):
                result = member.throw(answer)
            else:
                result = member.switch() if answer is None else member.switch(answer)
        except Exception as raised:
            error = raised
        member.busy_s += time.perf_counter() - member.resumed_at
        if member.dead:
            del running[member]
            yield Ended(member.index, result, error)
        else:
            waiting[member] = result

    try:
        while True:
            while sum(len(asked.crystal.numbers) for asked in waiting.values()) < n_atoms:
                program = take()
                if program is None:
                    break
                yield from go_on(_Member(program, n_taken))
                n_taken += 1
            if not waiting:
                return
            answered = _answers(waiting)
            waiting.clear()
            for member, answer in answered:
                yield from go_on(member, answer)
    finally:  # nobody wants the rest, or something worse than an exception came through
        for member in running:
            if not member.dead:
                member.throw()  # runs its `finally` clauses; left alone, it would never be freed


def _answers(
    waiting: Mapping[_Member, _Question],
) -> list[tuple[_Member, Evaluation | Exception]]:
    """Evaluate what all programs ask, one batch for each potential."""
    answered: list[tuple[_Member, Evaluation | Exception]] = []
    for potential in dict.fromkeys(asked.potential for asked in waiting.values()):
        asking = {
            member: asked.crystal
            for member, asked in waiting.items()
            if asked.potential is potential
        }
        start = time.perf_counter()
        answers = _evaluated(potential, list(asking.values()))
        took_s = time.perf_counter() - start
        n_all = sum(len(crystal.numbers) for crystal in asking.values()) or 1
        for member, answer in zip(asking, answers, strict=True):
            member.busy_s += took_s * len(asking[member].numbers) / n_all
            answered.append((member, answer))
    return answered


def _evaluated(potential: Potential, crystals: list[Crystal]) -> Sequence[Evaluation | Exception]:
    """One answer for each; what cannot be evaluated, not even alone, ends its own program only."""
    try:
        return potential.evaluate(crystals)
    except Exception as error:  # most likely for want of memory
        if len(crystals) == 1:
            return [error]
        return [answer for crystal in crystals for answer in _evaluated(potential, [crystal])]
