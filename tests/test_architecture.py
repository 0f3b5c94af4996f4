"""The tree is the architecture: one direction of imports, modules of readable length."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCREENING = sorted((ROOT / "screening").rglob("*.py"))
WORKFLOWS = sorted((ROOT / "workflows").rglob("*.py"))
FORBIDDEN_IN_SCREENING = {"workflows", "jobflow", "atomate2", "maggma", "typer", "rich", "chgnet"}


def imported_packages(path: Path) -> set[str]:
    """Top-level names of everything a module imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", SCREENING, ids=lambda path: str(path.relative_to(ROOT)))
def test_screening_knows_nothing_of_what_runs_it(path):
    assert not imported_packages(path) & FORBIDDEN_IN_SCREENING


def test_the_walk_sees_imports():
    assert "screening" in imported_packages(ROOT / "workflows" / "campaign.py")
    assert "atomate2" in imported_packages(ROOT / "workflows" / "engines" / "chgnet.py")


@pytest.mark.parametrize(
    "path", SCREENING + WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_modules_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 400
