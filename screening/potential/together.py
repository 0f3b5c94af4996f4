"""Programs that were written for one structure, evaluated as one batch.

An optimiser or integrator asks its calculator for forces in the middle of a step. Each program here
runs in a greenlet of its own and stops at that question; when all have asked, their structures are
evaluated together and each goes on with its answer. A program that ends makes room for the next, so
none waits for the slowest; what each computes is what it computes alone, to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from screening.errors import EngineFailure
    from screening.potential.evaluation import Evaluation, Potential
    from screening.potential.graph import Crystal

T = TypeVar("T")


class Ended(NamedTuple, Generic[T]):
    """How a program of a batch ended.

    Args:
        index: its place among the programs.
        value: what it returned, unless it failed.
        error: the exception that it ended in, if any.
    """

    index: int
    value: T | None
    error: Exception | None


class _Question(NamedTuple):
    potential: Potential
    crystal: Crystal


class _Member(greenlet):  # type: ignore[misc]  # greenlet's base class is not typed
    """A program of a batch."""


def ask(potential: Potential, crystal: Crystal) -> Evaluation | EngineFailure:
    """Evaluate a structure: with those of the other programs inside a batch, or at once."""
    member = getcurrent()
    if isinstance(member, _Member):
        answer: Evaluation | EngineFailure = member.parent.switch(_Question(potential, crystal))
        return answer
    return potential.evaluate([crystal])[0]


def run_together(
    programs: Iterable[Callable[[], T]],
    n_atoms: int,
    on_switch: Callable[[int], None] = lambda index: None,
) -> Iterator[Ended[T]]:
    """Run programs that ask `PotentialCalculator`s, and yield each as it ends.

    Args:
        programs: started in this order; taken from the iterable only when there is room.
        n_atoms: the next one is started while the structures of those that run hold fewer.
        on_switch: told the index of a program whenever it is about to go on.
    """
    source = enumerate(programs)
    waiting: dict[_Member, _Question] = {}
    index_of: dict[_Member, int] = {}

    def go_on(member: _Member, answer: Evaluation | EngineFailure | None) -> Ended[T] | None:
        """Let a program run to its next question, or to its end."""
        on_switch(index_of[member])
        try:
            result = member.switch() if answer is None else member.switch(answer)
        except Exception as error:
            return Ended(index_of.pop(member), None, error)
        if member.dead:
            return Ended(index_of.pop(member), result, None)
        waiting[member] = result
        return None

    while True:
        while sum(len(asked.crystal.numbers) for asked in waiting.values()) < n_atoms:
            following = next(source, None)
            if following is None:
                break
            member = _Member(following[1])
            index_of[member] = following[0]
            if ended := go_on(member, None):
                yield ended
        if not waiting:
            return
        members, questions = list(waiting), list(waiting.values())
        waiting.clear()
        for potential in dict.fromkeys(asked.potential for asked in questions):
            asking = [
                (member, asked.crystal)
                for member, asked in zip(members, questions, strict=True)
                if asked.potential is potential
            ]
            answers = potential.evaluate([crystal for _, crystal in asking])
            for (member, _), answer in zip(asking, answers, strict=True):
                if ended := go_on(member, answer):
                    yield ended
