"""STOPCAR: a wish to end the run early."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_WISH = re.compile(r"\bL(STOP|ABORT)\s*=\s*\.?T", re.IGNORECASE)


def stop_is_wished(folder: Path) -> bool:
    """Whether this ionic step is to be the last; the wish is then gone.

    LABORT, which makes VASP leave in the middle of a step, has the same effect: steps are short.
    """
    path = folder / "STOPCAR"
    try:
        is_wished = _WISH.search(path.read_text()) is not None
    except FileNotFoundError:
        return False
    if is_wished:
        path.unlink(missing_ok=True)
    return is_wished
