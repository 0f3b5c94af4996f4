"""How a crystal and its glasses compare, in words and short numbers: the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screening.amorphous.documents import Amorphous, DiffusivityOrder, Phase
    from screening.disorder.documents import DisorderReport


@dataclass(frozen=True)
class LocalOrder:
    """Of the host's cations; one entry each."""

    nearest: tuple[str, ...]
    coordination: tuple[str, ...]
    symmetry: tuple[str, ...]


def meV_above_crystal(phase: Phase, compared: Amorphous) -> float | None:
    """Mean potential energy per atom above that of the crystal; None if one was not recorded."""
    crystal = next((p for p in compared.phases if p.melt_temperature_K is None), None)
    energy_eV = phase.potential_energy_eV_per_atom
    crystal_eV = crystal.potential_energy_eV_per_atom if crystal else None
    return None if crystal_eV is None or energy_eV is None else 1000 * (energy_eV - crystal_eV)


def local_order(report: DisorderReport) -> LocalOrder:
    """Nearest distances in Å, numbers of neighbours, and symmetry measures of MX₆."""
    around = [each for each in report.coordination if each.centre != report.mobile_ion]
    centres = {each.centre: each for each in report.symmetry}
    bonds = {frozenset((s.centre, anion)) for s in centres.values() for anion in s.neighbours}
    return LocalOrder(
        nearest=tuple(
            f"{rdf.centre}–{rdf.neighbour} {rdf.shell.peak_A:.2f}"
            for rdf in report.rdfs
            if rdf.shell and frozenset((rdf.centre, rdf.neighbour)) in bonds
        ),
        coordination=tuple(f"{c.centre} {c.mean:.2f}" for c in around if c.centre in centres),
        symmetry=tuple(
            f"{s.centre} {s.mean:.2f} ({100 * s.share_of_six:.0f} % MX₆)" for s in centres.values()
        ),
    )


def order_in_words(order: DiffusivityOrder) -> str:
    """`A > B ≈ C`: intervals apart, or overlapping."""
    signs = [" > " if apart else " ≈ " for apart in order.apart]
    return "".join(name + sign for name, sign in zip(order.names, [*signs, ""], strict=True))
