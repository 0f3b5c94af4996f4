"""How many atoms the jobs of a candidate compute; what a job costs goes by it.

Jobs that are made by other jobs find their number in the labels that go from the one to the other.
It is that of the cell before relaxation, which is seldom another.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.structure import Structure

if TYPE_CHECKING:
    from jobflow import Job
    from pymatgen.core.lattice import Lattice

    from workflows.config import AmorphousSettings, DynamicsSettings

OF_DYNAMICS = "n_atoms_of_dynamics"
OF_QUENCH = "n_atoms_of_quench"


def size_labels(
    structure: Structure, dynamics: DynamicsSettings | None, amorphous: AmorphousSettings | None
) -> dict[str, str]:
    """The labels that tell jobs of dynamics and of quenching their number of atoms."""
    settings = {OF_DYNAMICS: dynamics, OF_QUENCH: amorphous}
    return {
        label: str(len(structure) * n_cells_widened(structure.lattice, wanted.min_cell_width_A))
        for label, wanted in settings.items()
        if wanted is not None
    }


def n_cells_widened(lattice: Lattice, min_width_A: float) -> int:
    """How many cells it takes until they are so wide."""
    return _n_cells(lattice.matrix.tobytes(), min_width_A)


@lru_cache(maxsize=10_000)
def _n_cells(lattice: bytes, min_width_A: float) -> int:
    """Of a lattice, by its bytes: orderings of one supercell share one."""
    from workflows.molecular_dynamics import widened

    matrix = np.frombuffer(lattice).reshape(3, 3)
    return len(widened(Structure(matrix, ["H"], [[0, 0, 0]]), min_width_A))


def sized(job: Job, labels: Mapping[str, str], label: str) -> Job:
    """Tell a job its number of atoms, where the labels know it; no fingerprint changes."""
    for name in (OF_DYNAMICS, OF_QUENCH):
        job.metadata.pop(name, None)
    if label in labels:
        job.metadata["n_atoms"] = int(labels[label])
    return job
