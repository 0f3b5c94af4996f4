"""What all commands share: exit codes, option types, output, and the boundary where errors end.

Data goes to stdout, everything else to stderr. A command raises; `Commands` alone turns what was
raised into a message and an exit code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from screening.errors import InvalidInput, NotFinished, ScreeningError

if TYPE_CHECKING:
    from workflows.config import EngineSettings

_UNREADABLE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class ExitCode(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    ERROR = 1
    BAD_INPUT = 2
    PENDING = 3
    FAILURES = 4


EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 usage or bad config, 3 work still pending, "
    "4 finished with failures."
)

CampaignFile = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN", help="The campaign's config file.", show_default=False)
]
CampaignOrResults = Annotated[
    Path,
    typer.Argument(
        metavar="CAMPAIGN", help="The config file, or the results folder.", show_default=False
    ),
]
OptionalCampaignFile = Annotated[
    Path | None,
    typer.Argument(metavar="CAMPAIGN", help="The campaign's config file.", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="Weights of the embedded engine: 0.3.0 (default) or r2scan.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class Commands(TyperGroup):
    """The boundary: expected failures become one message on stderr and exit code 2.

    Anything else is a bug and passes through: Python prints its traceback and exits with 1.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command, answering expected failures."""
        try:
            return super().invoke(ctx)
        except NotFinished as error:
            raise _refusal(str(error), ExitCode.PENDING) from error
        except ScreeningError as error:
            raise _refusal(str(error)) from error
        except _UNREADABLE as error:
            if error.filename is None:
                raise
            raise _refusal(f"{error.filename}: {error.strerror}") from error


def _refusal(message: str, code: ExitCode = ExitCode.BAD_INPUT) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(code)


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM, which raise KeyboardInterrupt, are also put on a list.

    Compiled code that calls back into Python turns the exception into one of its own: what is on
    the list says that it was an interruption all the same.
    """
    import signal

    received: list[int] = []

    def receive(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def engine_settings(model: str | None) -> EngineSettings:
    """The embedded engine with these weights, or with the default.

    Raises:
        InvalidInput: there are no such weights.
    """
    from typing import get_args

    from workflows.config import EngineSettings

    known = get_args(EngineSettings.model_fields["model"].annotation)
    if model is not None and model not in known:
        raise InvalidInput(f"--model {model}: no such weights; needed: one of {', '.join(known)}")
    return EngineSettings() if model is None else EngineSettings(model=model)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity, which JSON lacks, are an error."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))
