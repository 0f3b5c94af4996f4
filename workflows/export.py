"""Files people take away."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from screening.documents import RelaxDocument
    from screening.ranked import RankedCandidate
    from screening.stability.documents import StabilityDocument


def write_json(rows: Iterable[RankedCandidate], path: Path) -> Path:
    """The ranking, as `rank --json` prints it."""
    path.write_text(json.dumps([row.model_dump(mode="json") for row in rows], indent=2) + "\n")
    return path


def write_csv(rows: Iterable[RankedCandidate], path: Path) -> Path:
    """The ranking as a table: one line a candidate, columns of their own for each temperature."""
    records = [flat_row(row) for row in rows]
    columns = list(dict.fromkeys(name for record in records for name in record))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(records)
    return path


def write_cifs(relaxed: Mapping[str, RelaxDocument], folder: Path) -> list[Path]:
    """The relaxed structures, one CIF a candidate, named by its id."""
    from pymatgen.io.cif import CifWriter

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for identifier, document in relaxed.items():
        if document.result is not None:
            path = folder / f"{identifier}.cif"
            CifWriter(document.result.structure).write_file(path)
            paths.append(path)
    return paths


def write_profiles(stabilities: Mapping[str, StabilityDocument], folder: Path) -> list[Path]:
    """What happens at every voltage, for plotting: a CSV and a JSON a candidate, named by its id.

    The CSV holds the kinks of the decomposition energy, which is linear between them; the JSON that
    curve, all steps with reaction, capacity and energy, and both windows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for identifier, document in stabilities.items():
        if (stability := document.result) is None:
            continue
        profile = stability.profile
        table = folder / f"{identifier}.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["potential_V", "decomposition_energy_eV_per_atom"])
            writer.writerows(
                zip(
                    profile.decomposition_potentials_V,
                    profile.decomposition_energies_eV_per_atom,
                    strict=True,
                )
            )
        content = stability.model_dump(
            mode="json", include={"candidate_window", "equilibrium_window", "window_of", "profile"}
        )
        document_path = folder / f"{identifier}.json"
        document_path.write_text(json.dumps(content, indent=2) + "\n")
        paths += [table, document_path]
    return paths


def flat_row(row: RankedCandidate) -> dict[str, Any]:
    """A row of the ranking with one value a column, units in their names."""
    record: dict[str, Any] = {}
    for name, value in row.model_dump(
        mode="json", exclude={"diffusivity", "run_ends", "lost_runs"}
    ).items():
        if name == "rejection":
            record["rejected_by"] = value and value["gate"]
            record["rejected_value"] = value and value["value"]
            record["rejected_threshold"] = value and value["threshold"]
        elif name == "failure":
            record["failure_code"] = value and value["code"]
            record["failure_message"] = value and value["message"]
        elif name.endswith(("_68_eV", "_95_eV", "_68_S_cm", "_95_S_cm", "_68_V")):
            low, high = value or (None, None)
            record[f"{name}_low"], record[f"{name}_high"] = low, high
        elif isinstance(value, list):
            record[name] = " + ".join(value)
        else:
            record[name] = value
    for diffusivity in row.diffusivity:
        low, high = diffusivity.D_68_cm2_s or (None, None)
        suffix = f"{diffusivity.temperature_K:g}K"
        record[f"D_cm2_s_{suffix}"] = diffusivity.D_cm2_s
        record[f"D_68_low_cm2_s_{suffix}"] = low
        record[f"D_68_high_cm2_s_{suffix}"] = high
        record[f"upper_bound_cm2_s_{suffix}"] = diffusivity.upper_bound_cm2_s
        record[f"reason_{suffix}"] = diffusivity.reason
    for temperature_K, end in row.run_ends.items():
        record[f"outcome_{temperature_K}K"] = end.outcome
    return record
