"""Distinct orderings with degeneracies: ours against pymatgen, bsym, SHRY, icet and CASM.

All start from the parent crystal, with all of its sites, and end with every distinct decoration;
the search for the symmetry counts on all sides. A ratio is the peer's CPU time over ours, medians
over the runs, which alternate. Outside of the clock on all sides: imports, making the parent, a
first run on a smaller work (compiling what is compiled on the way, filling caches), checks. Peers
run in a process of their own, driven in the fastest way found (`peers/enumeration.py` says which);
`make bench-peers` installs them. pymatgen's transformation has no symmetry and no decorations: it
ranks and builds all orderings, duplicates included, from which ours are only to be picked.

Every answer has to agree: the number with Pólya's and with what is published, the degeneracies (or
the sizes of the superstructures) with the peer's.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from peers.enumeration import cpu_s, tally
from pymatgen.core import Lattice, Species, Structure

from screening.host_cells import HostCell, host_parent
from screening.hosts import Disorder, Host
from screening.orderings.crystals import without_repeats
from screening.orderings.parent import Parent, Supercell
from screening.orderings.space import ConfigurationSpace, Sublattice

FOLDER = Path(__file__).resolve().parent
RATIO_FLOORS = {
    "k16_vs_bsym": 5,
    "k16_vs_pymatgen": 200,
    "li3y24_vs_shry": 50,
    "li24_vs_shry": 300,
    "li3y24_structures_vs_shry": 5,
    "na_vs_shry": 8,
    "s8_vs_icet": 40,
    "s8_vs_casm": 20,
}
K32_LIMIT_CPU_S, K32_LIMIT_MB = 3.0, 300.0
COUNT_LIMIT_CPU_S = 1.0
SUPERSTRUCTURES_OF_8_CELLS = 9663
RUNS_OF_OURS = 5

K2TACL6 = Structure.from_spacegroup(
    "Fm-3m",
    Lattice.cubic(9.894),
    ["Ta", "K", "Cl"],
    [[0, 0, 0], [0.25, 0.25, 0.25], [0.239, 0, 0]],
)
LI3YCL6 = Structure.from_spacegroup(
    "P-3m1",
    Lattice.hexagonal(11.2, 6.03),
    ["Y", "Y", "Li", "Li", "Cl", "Cl", "Cl"],
    [
        [0, 0, 0],
        [1 / 3, 2 / 3, 0.48],
        [0.34, 0, 0],
        [0.34, 0, 0.5],
        [0.112, -0.112, 0.770],
        [0.219, -0.219, 0.268],
        [0.445, -0.445, 0.768],
    ],
)
NASMCL6 = Structure.from_spacegroup(
    "P6_3/m",
    Lattice.hexagonal(7.38, 4.31),
    ["Sm", "Na", "Cl"],
    [[1 / 3, 2 / 3, 0.25], [0, 0, 0], [0.39, 0.30, 0.25]],
)
CSCL = Structure.from_spacegroup(
    "Pm-3m", Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


@dataclass(frozen=True)
class Work:
    """A parent, its supercell, and on each sublattice the sites with occupant 0 and with 1.

    For superstructures the amounts are those of one primitive cell, and `max_cells` is given.
    """

    parent: Structure
    multiples: tuple[int, int, int]
    sublattices: tuple[tuple[str, tuple[int, int]], ...]
    n_orderings: int = 0
    max_cells: int = 0

    @property
    def n_configurations(self) -> int:
        """All decorations, symmetry apart."""
        return math.prod(math.comb(sum(amounts), amounts[0]) for _, amounts in self.sublattices)

    def for_peer(self) -> dict[str, Any]:
        """The supercell as plain numbers."""
        cell = self.parent * self.multiples
        symbols = [site.specie.symbol for site in cell]
        groups = [
            {"sites": [i for i, found in enumerate(symbols) if found == symbol], "amounts": amounts}
            for symbol, amounts in self.sublattices
        ]
        return {
            "lattice_A": cell.lattice.matrix.tolist(),
            "species": symbols,
            "frac_coords": cell.frac_coords.tolist(),
            "groups": groups,
            "max_cells": self.max_cells,
            "mobile_ion": self.sublattices[0][0],
            "oxidation_states": {"K": 1, "Ta": 5, "Cl": -1},
        }


def primitive(structure: Structure, *left_out: str) -> Structure:
    """Sites that the symmetry does not need may go: they would only slow the peers down."""
    cell = structure.get_primitive_structure()
    cell.remove_species(left_out)
    return cell


ONE = (1, 1, 1)
FLUORITE = primitive(K2TACL6, "Cl")
WORKS = {
    "k16": Work(K2TACL6, (2, 1, 1), (("K", (8, 8)),), 283),
    "li3y24": Work(LI3YCL6, (1, 1, 2), (("Li", (18, 6)),), 5_794),
    "li24": Work(LI3YCL6, (1, 1, 2), (("Li", (12, 12)),), 113_510),
    "na": Work(NASMCL6, (2, 2, 2), (("Na", (4, 12)), ("Sm", (14, 2))), 2_380),
    "k32": Work(K2TACL6, (2, 2, 1), (("K", (16, 16)),), 2_386_468),
    "s8": Work(FLUORITE, ONE, (("K", (1, 1)),), max_cells=8),
}
WARM_UPS = {
    "k16": Work(K2TACL6, ONE, (("K", (4, 4)),), 6),
    "li3y24": Work(LI3YCL6, ONE, (("Li", (6, 6)),), 96),
    "na": Work(NASMCL6, (1, 1, 2), (("Na", (2, 2)), ("Sm", (2, 2)))),
    "s8": Work(FLUORITE, ONE, (("K", (1, 1)),), max_cells=4),
}
WARM_UPS["li24"] = WARM_UPS["li3y24"]
LARGE = {
    "K2TaCl6 4x4x4, 256 K of 512": Work(K2TACL6, (4, 4, 4), (("K", (256, 256)),)),
    "CsCl 8x8x8, 256 Cs of 512": Work(CSCL, (8, 8, 8), (("Cs", (256, 256)),)),
    "Li3YCl6 6x6x1, 324 Li of 432": Work(LI3YCL6, (6, 6, 1), (("Li", (324, 108)),)),
    "NaSmCl6 8x8x2, 64 Na of 256, 32 Na on Sm of 256": Work(
        NASMCL6, (8, 8, 2), (("Na", (64, 192)), ("Sm", (224, 32)))
    ),
}
"""What is counted, not enumerated."""


def configuration_space(work: Work) -> tuple[Supercell, ConfigurationSpace]:
    """From the parent: its symmetry, the supercell's permutations, what fills the sites."""
    supercell = Parent.from_structure(work.parent).supercell(work.multiples)
    return supercell, space_of(supercell, work, 1)


def space_of(supercell: Supercell, work: Work, n_times: int) -> ConfigurationSpace:
    """The work's amounts, times a number, on the sites of a supercell."""
    sites = ordered_sites(supercell, work)
    lengths = [len(part) for part in sites]
    places = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    amounts = [tuple(n_times * n for n in amounts) for _, amounts in work.sublattices]
    return ConfigurationSpace(
        supercell.permutations(np.concatenate(sites)), list(map(Sublattice, places, amounts))
    )


def ordered_sites(supercell: Supercell, work: Work) -> list[Any]:
    """Sites of the supercell that belong to each sublattice."""
    symbols = np.array([site.specie.symbol for site in work.parent])[supercell.unit_site]
    return [np.flatnonzero(symbols == symbol) for symbol, _ in work.sublattices]


def decorations(work: Work) -> list[int]:
    """Degeneracies of all distinct decorations."""
    return configuration_space(work)[1].enumerate().degeneracies


def superstructures(work: Work) -> list[int]:
    """Primitive cells of every superstructure that is not one of fewer cells."""
    found: list[int] = []
    parent = Parent.from_structure(work.parent)
    for n_cells in range(1, work.max_cells + 1):
        for supercell in parent.distinct_supercells(n_cells):
            sites = np.concatenate(ordered_sites(supercell, work))
            blocks = space_of(supercell, work, n_cells).blocks()
            n_found = sum(map(len, without_repeats(supercell, sites, blocks)))
            found.extend([n_cells] * n_found)
    return found


def structures(work: Work) -> list[int]:
    """Degeneracies, with a pymatgen Structure built for each decoration, as candidates are."""
    sublattices = []
    for symbol, (n_filled, n_empty) in work.sublattices:
        share = Fraction(n_filled, n_filled + n_empty)
        sites = work.parent.indices_from_symbol(symbol)
        sublattices.append(Disorder(sites, (Species(symbol, 1), None), (share, 1 - share)))
    mobile_ion = work.sublattices[0][0]
    host = Host("parent", "benchmark", mobile_ion, work.parent, tuple(sublattices))
    cell = HostCell(host, host_parent(host).supercell(work.multiples), "supercell")
    n_atoms = cell.n_atoms
    degeneracies = []
    for block in cell.space.blocks():
        for occupants, degeneracy in zip(block.occupants, block.degeneracies, strict=True):
            if len(cell.structure(occupants)) == n_atoms:
                degeneracies.append(degeneracy)
    return degeneracies


@dataclass(frozen=True)
class Contest:
    """One work done by us and by a peer.

    Args:
        ours: gives what the peer gives.
        peer: a name in `peers/enumeration.py`.
        python: that of the peer's environment.
        rounds: processes of the peer, alternating with ours.
        runs: by the peer in each of them.
    """

    work: str
    ours: Callable[[Work], Any]
    peer: str
    python: Path
    rounds: int
    runs: int

    def result(self) -> tuple[float, float, bool]:
        """CPU seconds of ours and of the peer, and whether the answers are right."""
        work = WORKS[self.work]
        message = json.dumps(work.for_peer() | {"warm_up": WARM_UPS[self.work].for_peer()})
        if not self.python.exists():
            raise SystemExit(f"{self.python} is not there; run `make bench-peers` first")
        ours_s, peer_s, correct = [], [], True
        self.ours(WARM_UPS[self.work])
        for _ in range(self.rounds):
            for _ in range(RUNS_OF_OURS):
                start_s = cpu_s()
                found = self.ours(work)
                ours_s.append(cpu_s() - start_s)
            command = [self.python, FOLDER / "peers/enumeration.py", self.peer, str(self.runs)]
            finished = subprocess.run(
                command, input=message, stdout=subprocess.PIPE, text=True, check=True
            )
            theirs = json.loads(finished.stdout.splitlines()[-1])
            peer_s += theirs["cpu_s"]
            correct = correct and self.agrees(work, tally(map(int, found)), theirs["tally"])
        return median(ours_s), median(peer_s), correct

    def agrees(self, work: Work, ours: list[list[int]], theirs: list[list[int]]) -> bool:
        """Whether the answers are right."""
        if work.max_cells:
            return ours == theirs and [8, SUPERSTRUCTURES_OF_8_CELLS] in ours
        if self.peer == "pymatgen":  # all orderings, no two of them alike, none left out
            return theirs == [[1, work.n_configurations]]
        return ours == theirs and counts_hold(work, ours)


def counts_hold(work: Work, found: list[list[int]]) -> bool:
    """Numbers of distinct and of all decorations, known, by Pólya, and as enumerated."""
    space = configuration_space(work)[1]
    n_found = sum(number for _, number in found)
    n_all = sum(degeneracy * number for degeneracy, number in found)
    return (
        n_found == work.n_orderings == space.n_orderings
        and n_all == work.n_configurations == space.n_configurations
    )


def environment(name: str) -> Path:
    return FOLDER.parent / f".venv-peers-{name}" / "bin" / "python"


def contests() -> dict[str, Contest]:
    here, lattices, shry = Path(sys.executable), environment("lattices"), environment("shry")
    return {
        "k16_vs_bsym": Contest("k16", decorations, "bsym", lattices, 3, 5),
        "k16_vs_pymatgen": Contest("k16", decorations, "pymatgen", here, 1, 1),
        "li3y24_vs_shry": Contest("li3y24", decorations, "shry", shry, 3, 3),
        "li24_vs_shry": Contest("li24", decorations, "shry", shry, 1, 1),
        "li3y24_structures_vs_shry": Contest("li3y24", structures, "shry_structures", shry, 3, 1),
        "na_vs_shry": Contest("na", decorations, "shry", shry, 3, 3),
        "s8_vs_icet": Contest("s8", superstructures, "icet", lattices, 3, 1),
        "s8_vs_casm": Contest("s8", superstructures, "casm", lattices, 3, 1),
    }


def k32_alone() -> None:
    """In a process of its own, for the peak of its memory; prints what `k32` reads."""
    decorations(WORKS["k16"])
    start_s = cpu_s()
    n_found = n_all = 0
    for block in configuration_space(WORKS["k32"])[1].blocks():
        n_found += len(block)
        n_all += int(block.degeneracies.sum())
    spent_s = cpu_s() - start_s
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_MB = int(status["VmHWM"].split()[0]) / 1000
    correct = (n_found, n_all) == (WORKS["k32"].n_orderings, WORKS["k32"].n_configurations)
    print(json.dumps({"cpu_s": spent_s, "peak_MB": peak_MB, "correct": correct}))


def k32() -> dict[str, Any]:
    """Ours alone: the peers take minutes, or all of the memory."""
    outputs = [
        json.loads(subprocess.check_output([sys.executable, __file__, "k32"])) for _ in range(3)
    ]
    result = {
        "cpu_s": round(median(output["cpu_s"] for output in outputs), 2),
        "peak_MB": round(max(output["peak_MB"] for output in outputs)),
        "correct": all(output["correct"] for output in outputs),
    }
    print(f"k32: {result['cpu_s']} CPU s, {result['peak_MB']} MB at most")
    return result


def count_512() -> dict[str, Any]:
    """Counting from the parent on; the same parent in its primitive cell has to count the same."""
    cpu_times_s, correct = {}, True
    for name, work in LARGE.items():
        times_s = []
        for _ in range(3):
            start_s = cpu_s()
            n_orderings = configuration_space(work)[1].n_orderings
            times_s.append(cpu_s() - start_s)
        cpu_times_s[name] = round(median(times_s), 3)
        parent = Parent.from_structure(work.parent)
        small = primitive(work.parent)
        rows = np.diag(work.multiples) @ work.parent.lattice.matrix @ small.lattice.inv_matrix
        supercell = Parent.from_structure(small).supercell(np.rint(rows).astype(int))
        again = space_of(supercell, Work(small, ONE, work.sublattices), 1).n_orderings
        n_operations = len(parent.rotations) * supercell.n_cells
        share = work.n_configurations / n_orderings / n_operations
        correct = correct and again == n_orderings and 0.999 < share <= 1
        print(f"counting {name}: {n_orderings:.3g} orderings, {cpu_times_s[name]} CPU s")
    return {"cpu_s": cpu_times_s, "max_cpu_s": max(cpu_times_s.values()), "correct": correct}


def main() -> None:
    """Measure, print, and fail if a floor is broken."""
    ratios, costs_s, correct = {}, {}, True
    print(f"{'':28}{'ours, CPU s':>14}{'peer, CPU s':>14}{'ratio':>10}{'floor':>8}")
    for key, contest in contests().items():
        ours_s, peer_s, agree = contest.result()
        ratios[key] = round(peer_s / ours_s, 1)
        costs_s[key] = {"ours": round(ours_s, 4), "peer": round(peer_s, 4)}
        correct = correct and agree
        verdict = "" if agree else "  answers differ"
        print(
            f"{key:28}{ours_s:14.4f}{peer_s:14.3f}{ratios[key]:10.1f}{RATIO_FLOORS[key]:8}{verdict}"
        )
    large, counting = k32(), count_512()
    correct = correct and large["correct"] and counting["correct"]
    holds = (
        correct
        and all(ratio >= RATIO_FLOORS[key] for key, ratio in ratios.items())
        and large["cpu_s"] <= K32_LIMIT_CPU_S
        and large["peak_MB"] <= K32_LIMIT_MB
        and counting["max_cpu_s"] < COUNT_LIMIT_CPU_S
    )
    result = {"benchmark": "enumeration", "ratios": ratios, "correct": correct}
    result |= {"floors_hold": holds, "cpu_s": costs_s, "k32": large, "count_512": counting}
    print(json.dumps(result))
    if not holds:
        raise SystemExit(1)


if __name__ == "__main__":
    k32_alone() if sys.argv[1:] == ["k32"] else main()
