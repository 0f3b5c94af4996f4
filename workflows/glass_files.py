"""Files of crystals and their glasses that people take away: tables, figures, structures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from screening.amorphous.documents import Amorphous, AmorphousDocument


def write_glasses(glasses: Mapping[str, AmorphousDocument], folder: Path) -> list[Path]:
    """A folder a candidate, named by its id.

    In each: `diffusivities.csv`, `rdf.csv` and `symmetry.csv` of all phases, one below the other,
    the figures `rdf` and `symmetry` (pdf, svg, png), and every glass as quenched, as CIF.
    """
    paths = []
    for identifier, document in glasses.items():
        if document.result is not None:
            paths += _write(document.result, folder / identifier)
    return paths


def _write(compared: Amorphous, folder: Path) -> list[Path]:
    from pymatgen.io.cif import CifWriter

    from workflows.figures.disorder import comparison_figures
    from workflows.figures.style import save

    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        _table(folder / "diffusivities.csv", diffusivity_rows(compared)),
        _table(folder / "rdf.csv", _rdfs(compared)),
        _table(folder / "symmetry.csv", _symmetry(compared)),
    ]
    reports = {phase.name: phase.disorder for phase in compared.phases}
    for name, figure in comparison_figures(reports).items():
        paths += save(figure, folder, name)
    for phase in compared.phases:
        if phase.structure is not None:
            paths.append(folder / f"glass-{phase.melt_temperature_K:g}K.cif")
            CifWriter(phase.structure).write_file(paths[-1])
    return paths


def _table(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return path


def diffusivity_rows(compared: Amorphous) -> Iterable[dict[str, object]]:
    """One row a phase and temperature."""
    for phase in compared.phases:
        for each in phase.transport.diffusivities:
            low, high = each.D_68_cm2_s or (None, None)
            yield {
                "phase": phase.name,
                "temperature_K": each.temperature_K,
                "D_cm2_s": each.D_cm2_s,
                "D_68_low_cm2_s": low,
                "D_68_high_cm2_s": high,
                "upper_bound_cm2_s": each.upper_bound_cm2_s,
                "reason": each.reason,
            }


def _rdfs(compared: Amorphous) -> Iterable[dict[str, object]]:
    for phase in compared.phases:
        for rdf in phase.disorder.rdfs:
            for r_A, g, number in zip(phase.disorder.r_A, rdf.g, rdf.running_number, strict=True):
                yield {
                    "phase": phase.name,
                    "centre": rdf.centre,
                    "neighbour": rdf.neighbour,
                    "r_A": r_A,
                    "g": g,
                    "running_number": number,
                }


def _symmetry(compared: Amorphous) -> Iterable[dict[str, object]]:
    for phase in compared.phases:
        for each in phase.disorder.symmetry:
            for i, density in enumerate(each.density):
                yield {
                    "phase": phase.name,
                    "centre": each.centre,
                    "measure_from": i * each.bin_width,
                    "measure_to": (i + 1) * each.bin_width,
                    "density": density,
                }
