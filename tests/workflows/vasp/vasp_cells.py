"""Cells and settings that the tests of the VASP path share."""

from pymatgen.core import Lattice, Structure

from workflows.config import DynamicsSettings, EngineSettings

NACL = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.75), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]]
)
REHEARSAL = EngineSettings(name="rehearsal")


def primitive_nacl() -> Structure:
    """Two atoms: the smallest crystal that relaxes."""
    return NACL.get_primitive_structure()


# 40 steps before the production, segments of 20
DYNAMICS = DynamicsSettings(
    temperatures_K=(500.0,),
    heating_ps=0.04,
    equilibration_ps=0.04,
    segment_ps=0.04,
    production_ps=0.12,
    frame_interval_fs=4,
    relative_error=None,
    min_cell_width_A=5.0,
)
