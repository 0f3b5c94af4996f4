"""What the documentation quotes from the shipped snapshot is still so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from screening.stability.enthalpies import KINDS, halide_errors
from screening.stability.references import ReferencePhases

ROOT = Path(__file__).parents[3]
SHIPPED = ReferencePhases.load("chgnet-0.3.0")


def test_the_readme_counts_the_phases_of_the_shipped_snapshot():
    elements = {symbol for phase in SHIPPED.phases for symbol in phase.elements}
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    (counts,) = re.findall(r"holds (\d+) phases of (\d+) elements", text)
    assert tuple(map(int, counts)) == (len(SHIPPED.phases), len(elements))


@pytest.mark.parametrize(
    ("page", "pattern"),
    [("references.md", r'references_sha256: "(\w+)"'), ("windows.md", r"sha256 (\w+)")],
)
def test_examples_show_the_hash_of_the_shipped_snapshot(page, pattern):
    (shown,) = re.findall(pattern, (ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert len(shown) >= 8
    assert SHIPPED.sha256.startswith(shown)


def test_the_example_of_a_window_has_the_hash_of_its_chemical_system():
    text = (ROOT / "docs/windows.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"references +(\w+) \(hash of this chemical system", text)
    assert SHIPPED.system(["K", "Ta", "Cl"]).sha256.startswith(shown)


def test_the_table_of_errors_is_that_of_the_shipped_snapshot():
    """Of each kind: how many halides, mean error and mean absolute error in meV/atom."""
    text = (ROOT / "docs/uncertainty.md").read_text(encoding="utf-8").replace("−", "-")
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| ([+-]?\d+) \| (\d+) \| ", text, re.MULTILINE)
    shown = {kind: tuple(map(int, numbers)) for kind, *numbers in rows}
    errors = halide_errors(SHIPPED)
    assert f"{len(errors)} binary halides" in text
    found = {}
    for kind in KINDS:
        of_kind = [1000 * e.error_eV_per_atom for e in errors if e.halide.kind == kind]
        found[kind] = (
            len(of_kind),
            round(sum(of_kind) / len(of_kind)),
            round(sum(map(abs, of_kind)) / len(of_kind)),
        )
    assert shown == found
