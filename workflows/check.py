"""What `halideflow doctor` finds: one `Check` for each thing it looks at."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found and, unless it is ok, what to do."""

    name: str
    state: State
    found: str
    advice: str = ""


def guarded(name: str, look: Callable[[], Check], advice: str) -> Check:
    """The boundary of one check: whatever goes wrong inside is what was found."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # libraries announce themselves there
            return look()
    except Exception as error:
        return Check(name, "fail", f"{type(error).__name__}: {error}", advice)
