"""Files of a candidate's transport that people take away: the document, a table and the figure."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from screening.transport.documents import Transport, TransportDocument

COLUMNS = (
    "temperature_K",
    "D_cm2_s",
    "D_68_low_cm2_s",
    "D_68_high_cm2_s",
    "D_95_low_cm2_s",
    "D_95_high_cm2_s",
    "upper_bound_cm2_s",
    "n_hops",
    "duration_ps",
    "framework_moves",
    "outcome",
    "reason",
)


def write_transports(transports: Mapping[str, TransportDocument], folder: Path) -> list[Path]:
    """A JSON with everything, a CSV of D over temperature and the Arrhenius figure of each.

    Files are named by the candidate's id. Where no temperature gave a diffusivity, there is no
    figure.
    """
    from workflows.figures.arrhenius import arrhenius_figure
    from workflows.figures.style import save

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for identifier, document in transports.items():
        if (transport := document.result) is None:
            continue
        whole = folder / f"{identifier}.json"
        content = transport.model_dump(mode="json")
        whole.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
        paths += [whole, _write_table(transport, folder / f"{identifier}.csv")]
        if entries := transport.diffusivities:
            paths += save(arrhenius_figure(transport.arrhenius, entries), folder, identifier)
    return paths


def run_rows(transport: Transport) -> Iterator[dict[str, Any]]:
    """One row a temperature that gave a diffusivity, with `COLUMNS`."""
    for entry in transport.diffusivities:
        low_68, high_68 = entry.D_68_cm2_s or (None, None)
        low_95, high_95 = entry.D_95_cm2_s or (None, None)
        end = transport.ends.get(f"{entry.temperature_K:g}")
        values = {
            **entry.model_dump(mode="json"),
            "D_68_low_cm2_s": low_68,
            "D_68_high_cm2_s": high_68,
            "D_95_low_cm2_s": low_95,
            "D_95_high_cm2_s": high_95,
            "outcome": end and end.outcome,
        }
        yield {column: values[column] for column in COLUMNS}


def _write_table(transport: Transport, path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(run_rows(transport))
    return path
