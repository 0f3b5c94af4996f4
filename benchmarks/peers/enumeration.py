"""The peers' side of benchmarks/enumeration.py; runs in the peers' own environments.

    python enumeration.py PEER REPEATS < work.json

The work is a parent crystal as plain numbers (`lattice_A`, `species`, `frac_coords`), its
disordered sublattices as `groups` of `sites` and `amounts` (sites that hold occupant 0 and 1), and
a small `warm_up` work. The last line of the output has the CPU seconds of each repeat, children
included, from the parent to its distinct decorations, with their degeneracies where the peer has
any. Imports, making the parent, the run on the warm-up work and the checks stay outside.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

Work = dict[str, Any]
Run = Callable[[], list[Any]]
"""Gives the degeneracies, or the cells of each superstructure, or ordered structures."""

STAND_INS = (("He", "Ne"), ("Ar", "Kr"))
"""Occupants 0 and 1 of each sublattice: a vacancy needs a symbol of its own in most peers."""


def cpu_s() -> float:
    """CPU time of this process and of its finished children, user and system."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def tally(values: Iterable[Any]) -> list[list[int]]:
    """How often each value occurs, as JSON keeps it."""
    return [list(pair) for pair in sorted(Counter(values).items())]


def ordered(work: Work) -> Any:
    """The parent with all sites full, as pymatgen has it."""
    from pymatgen.core import Structure

    return Structure(work["lattice_A"], work["species"], work["frac_coords"])


def pymatgen(work: Work) -> Run:
    """Ewald-ranked orderings: it knows no symmetry, so that all are asked for."""
    from pymatgen.transformations.standard_transformations import (
        OrderDisorderedStructureTransformation,
    )

    parent = ordered(work)
    parent.add_oxidation_state_by_element(work["oxidation_states"])
    (group,) = work["groups"]
    share = group["amounts"][0] / len(group["sites"])
    for site in group["sites"]:
        parent[site].species = {parent[site].specie: share}
    n_raw = math.comb(len(group["sites"]), group["amounts"][0])

    def run() -> list[Any]:
        transformation = OrderDisorderedStructureTransformation(algo=0)
        ranked = transformation.apply_transformation(parent, return_ranked_list=n_raw)
        return [entry["structure"] for entry in ranked]

    return run


def bsym(work: Work) -> Run:
    """All permutations in turn; images of those seen are kept in a set."""
    from bsym.interface.pymatgen import configuration_space_from_structure

    parent = ordered(work)
    (group,) = work["groups"]

    def run() -> list[int]:
        space = configuration_space_from_structure(parent, subset=group["sites"])
        found = space.unique_configurations(dict(enumerate(group["amounts"])))
        return [configuration.count for configuration in found]

    return run


def disordered(work: Work) -> Any:
    """The parent with mean occupancies, and the sublattice of each site as a property."""
    parent = ordered(work)
    parent.add_site_property("group", [-1] * len(parent))
    for number, group in enumerate(work["groups"]):
        shares = [amount / len(group["sites"]) for amount in group["amounts"]]
        for site in group["sites"]:
            parent[site].species = dict(zip(STAND_INS[number], shares, strict=True))
            parent[site].properties["group"] = number
    return parent


def shry_substitutor(parent: Any) -> Any:
    from shry import Substitutor, const

    const.DISABLE_PROGRESSBAR = True
    return Substitutor(parent, groupby=lambda site: site.properties["group"])


def shry(work: Work) -> Run:
    """Patterns with weights, without the letters or files made of them."""
    parent = disordered(work)

    def run() -> list[int]:
        substitutor = shry_substitutor(parent)
        n_operations = len(substitutor._symmops)
        patterns = substitutor.make_patterns()
        return [n_operations // len(automorphisms) for automorphisms, _ in patterns]

    return run


def shry_structures(work: Work) -> Run:
    """The same, with a pymatgen Structure built for each."""
    parent = disordered(work)

    def run() -> list[int]:
        packets = shry_substitutor(parent).quantities(("structure", "weight"))
        return [packet["weight"] for packet in packets if packet["structure"] is not None]

    return run


def icet(work: Work) -> Run:
    """`enumerate_structures` under a concentration; it leaves out the superperiodic by itself."""
    from ase import Atoms
    from icet.tools import enumerate_structures

    parent = Atoms(
        work["species"], cell=work["lattice_A"], scaled_positions=work["frac_coords"], pbc=True
    )
    (group,) = work["groups"]
    symbols = site_occupants(work)
    share = group["amounts"][0] / len(parent)

    def run() -> list[int]:
        structures = enumerate_structures(
            parent,
            range(1, work["max_cells"] + 1),
            symbols,
            concentration_restrictions={STAND_INS[0][0]: (share, share)},
        )
        return [len(structure) // len(parent) for structure in structures]

    return run


def casm(work: Work) -> Run:
    """Primitive, canonical configurations of all amounts; CASM has no filter on the amount."""
    import numpy as np
    from libcasm.configuration import Prim
    from libcasm.enumerate import ConfigEnumAllOccupations
    from libcasm.xtal import Lattice
    from libcasm.xtal import Prim as CrystalPrim

    (group,) = work["groups"]
    lattice = Lattice(np.transpose(work["lattice_A"]))
    coordinates = np.transpose(work["frac_coords"])
    occupants = site_occupants(work)

    def run() -> list[int]:
        prim = Prim(CrystalPrim(lattice, coordinates, occupants))
        found = []
        for configuration in ConfigEnumAllOccupations(prim).by_supercell(max=work["max_cells"]):
            n_cells = configuration.supercell.n_unitcells
            if int(configuration.occupation.sum()) == group["amounts"][1] * n_cells:
                found.append(n_cells)
        return found

    return run


def site_occupants(work: Work) -> list[list[str]]:
    """What may sit on each site of the parent, for peers that enumerate its superstructures."""
    (group,) = work["groups"]
    return [
        list(STAND_INS[0]) if site in group["sites"] else [symbol]
        for site, symbol in enumerate(work["species"])
    ]


def filled(structure: Any, symbol: str) -> str:
    """Where the ions of a sort are, whatever the order of the sites."""
    coords = [site.frac_coords % 1 for site in structure if site.specie.symbol == symbol]
    return str(sorted(tuple(round(1000 * x) % 1000 for x in xyz) for xyz in coords))


PEERS: dict[str, Callable[[Work], Run]] = {
    peer.__name__: peer for peer in (pymatgen, bsym, shry, shry_structures, icet, casm)
}


def main() -> None:
    warnings.filterwarnings("ignore")
    peer, repeats = PEERS[sys.argv[1]], int(sys.argv[2])
    work = json.load(sys.stdin)
    peer(work["warm_up"])()
    run = peer(work)
    times_s = []
    for _ in range(repeats):
        start_s = cpu_s()
        found = run()
        times_s.append(cpu_s() - start_s)
    if peer is pymatgen:
        found = [1 for _ in {filled(structure, work["mobile_ion"]) for structure in found}]
    print(json.dumps({"cpu_s": times_s, "tally": tally(found)}))


if __name__ == "__main__":
    main()
