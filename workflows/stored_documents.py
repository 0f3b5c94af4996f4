"""From what the store holds back to documents."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from screening.errors import InvalidInput


def stored_document(kind: Any, output: dict[str, Any] | None) -> Any:
    """What a job answered with; None where it has no answer.

    Raises:
        InvalidInput: an earlier version wrote it in another shape.
    """
    if output is None:
        return None
    try:
        return kind(**_plain(output))
    except ValidationError as error:
        raise InvalidInput(
            f"results of an earlier version of halideflow, which this one cannot read "
            f"({kind.__name__}); `halideflow run CAMPAIGN` brings them up to date and keeps what "
            "is still good"
        ) from error


def _plain(output: dict[str, Any]) -> dict[str, Any]:
    """Without monty's class markers."""
    return {key: value for key, value in output.items() if not key.startswith("@")}
