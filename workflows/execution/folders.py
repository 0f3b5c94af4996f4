"""The working folder of a job: gone with it, except for what the job wants kept."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEPT_FILES = "files"
"""Folder in that of a job whose contents outlive it."""
OWN_ATTEMPTS = "attempts.json"
"""File of a job that counts its attempts itself, and ends itself after too many."""


def clear(folder: Path) -> None:
    """Remove a folder, except what its job put where it is kept."""
    if not (folder / KEPT_FILES).is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if not entry.is_dir():
            entry.unlink(missing_ok=True)
        elif entry.name != KEPT_FILES:
            shutil.rmtree(entry, ignore_errors=True)
