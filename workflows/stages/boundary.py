"""The one place where exceptions of a stage are caught: a stage never loses a candidate.

Stages import what computes inside `compute`: a run that finds everything done then has nothing
heavy to load, and an import that fails is a failure of that stage like any other.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, TypeVar

from screening.documents import Failure, StageDocument
from screening.errors import EngineFailure, ScreeningError
from screening.potential.together import busy_s

if TYPE_CHECKING:
    from collections.abc import Callable

D = TypeVar("D", bound=StageDocument)
R = TypeVar("R")

LOG_TAIL_LINES = 30
LOST = Failure(
    code="LOST",
    message="the job left no answer; `halideflow failures` says why",
)


def answer(document: type[D], compute: Callable[[], Any], **fields: Any) -> D:
    """`document` with the result of `compute`, or with the failure that it ended in.

    Beside other jobs in one process, its time is what this one took of it.
    """
    start_s = busy_s()
    result, failure = attempt(compute)
    return document(
        state="done" if failure is None else "failed",
        failure=failure,
        wall_time_s=busy_s() - start_s,
        **({"result": result} if failure is None else {}),
        **fields,
    )


def attempt(compute: Callable[[], R]) -> tuple[R | None, Failure | None]:
    """The result of `compute`, or the failure that it ended in."""
    try:
        return compute(), None
    except Exception as error:  # the boundary: whatever it is, this candidate alone ends here
        return None, failure_of(error)


def failure_of(error: BaseException) -> Failure:
    """Code, message and traceback of an exception."""
    message = " ".join(str(error).split()) or "no message"
    if isinstance(error, ScreeningError):
        code = error.code
    else:
        code, message = "UNEXPECTED", f"{type(error).__name__}: {message}"
    if isinstance(error, EngineFailure) and error.log_tail:
        lines, corrections = error.log_tail.splitlines(), error.corrections
    else:
        lines, corrections = "".join(traceback.format_exception(error)).splitlines(), ()
    log_tail = "\n".join(lines[-LOG_TAIL_LINES:])
    return Failure(code=code, message=message, log_tail=log_tail, corrections=corrections)
