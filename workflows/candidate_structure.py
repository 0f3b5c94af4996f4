"""The crystal of a candidate: relaxed, or as it was made where that has not come about.

What went into jobs is read from their specifications: the campaign's file and the user's structures
may have changed since, or lie elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from pymatgen.core.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflows.read_model import CampaignResults
    from workflows.vacant_sites import VacantSites
    from workflows.views import CandidateView


@dataclass(frozen=True)
class CandidateStructure:
    """A structure, and whether it is the relaxed one."""

    structure: Structure
    is_relaxed: bool

    def cif(self) -> str:
        """All atoms of the cell, without symmetry."""
        from pymatgen.io.cif import CifWriter

        return str(CifWriter(self.structure))

    def poscar(self, comment: str) -> str:
        """Atoms of an element together."""
        from pymatgen.io.vasp.inputs import Poscar

        return str(Poscar(self.structure.get_sorted_structure(), comment).get_str())

    def atoms(self) -> Iterator[dict[str, str | float]]:
        """Element and fractional coordinates of each, numbered by element."""
        numbers: dict[str, int] = {}
        for site in self.structure:
            symbol = site.specie.symbol
            numbers[symbol] = numbers.get(symbol, 0) + 1
            x, y, z = (float(f"{coordinate % 1:.6f}") for coordinate in site.frac_coords)
            yield {"atom": f"{symbol}{numbers[symbol]}", "element": symbol, "x": x, "y": y, "z": z}


def structure_of(results: CampaignResults, view: CandidateView) -> CandidateStructure | None:
    """The structure of a candidate of a campaign; None where neither form is stored."""
    if view.relax is not None and view.relax.result is not None:
        return CandidateStructure(view.relax.result.structure, True)
    job = next((job for job in view.jobs if job.stage == "relax"), None)
    if job is None or results.table.state((job.uuid, 1)) is None:
        return None
    made, *_ = orjson.loads(results.table.spec((job.uuid, 1)))["function_args"]
    return CandidateStructure(Structure.from_dict(made), False)


def vacant_sites_of(
    results: CampaignResults, view: CandidateView, structure: Structure
) -> VacantSites:
    """The empty sites of a candidate's structure; seconds of work where its cell is large."""
    from screening.candidate_settings import CandidateSettings
    from workflows.vacant_sites import vacant_sites

    host = view.info.origin.host
    structures: dict[str, Structure] = {}
    for (uuid,) in results.table.select(
        "select uuid from jobs where run = ? and stage = 'enumerate'", (results.run,)
    ):
        _, files = orjson.loads(results.table.spec((uuid, 1)))["function_args"]
        structures = {path: Structure.from_dict(files[path]) for path in files if path == host}
    settings = CandidateSettings.model_validate(results.last_config["candidates"])
    return vacant_sites(view.info, structure, settings, structures)
