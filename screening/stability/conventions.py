"""Conventions of energies that come out of VASP's files: the program's own, and a rehearsal's."""

from __future__ import annotations

from screening.documents import EnergyConvention

MP2020 = "MP2020"  # of a convention whose entries hold the corrections one by one
VASP = EnergyConvention(
    code="vasp", functional="PBE/PBE+U", corrections=MP2020, potential="MP legacy PBE POTCARs"
)

_REHEARSAL = "rehearsal of vasp"


def rehearsal_of(potential: EnergyConvention) -> EnergyConvention:
    """What a stand-in for VASP gives that computes with this potential: never comparable with DFT.

    The stand-in takes the corrections out that the potential has learned, and the VASP path adds
    them again.
    """
    return potential.model_copy(
        update={"code": _REHEARSAL, "corrections": f"{MP2020}, taken out and added again"}
    )


def is_rehearsal(convention: EnergyConvention) -> bool:
    """Whether a stand-in for VASP gave the energies."""
    return convention.code == _REHEARSAL
