"""A host in one supercell: its configurations as arrays, its orderings as structures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element, Species
from pymatgen.core.structure import PeriodicSite, Structure

from screening.errors import InvalidInput
from screening.hosts import Disorder, Host
from screening.orderings.crystals import distinct_crystals, n_without_repeats, without_repeats
from screening.orderings.electrostatics import Electrostatics
from screening.orderings.parent import Parent, Supercell
from screening.orderings.space import ConfigurationSpace, Orderings, Sublattice
from screening.orderings.symmetry import SYMMETRY_TOLERANCE_A, space_group_number

COARSE_TOLERANCE_A = 0.1


def host_parent(host: Host) -> Parent:
    """The symmetry of a host with nothing chosen yet; none where there is nothing to choose."""
    if not host.disorder:
        return Parent.without_symmetry(host.structure)
    return Parent.from_structure(host.structure, _kinds(host))


def primitive_cell(host: Host) -> HostCell:
    """The smallest cell of a host in which nothing is to be ordered."""
    parent = Parent.from_structure(host.structure, _kinds(host))
    return HostCell(host, parent.distinct_supercells(1)[0], "1-1")


def note_on_symmetry(host: Host) -> str | None:
    """What to tell of a host that is more symmetric within a coarser tolerance, if it is."""
    from pymatgen.symmetry.groups import SpaceGroup

    if not host.disorder:
        return None
    kinds = _kinds(host)
    fine = space_group_number(host.structure, kinds)
    coarse = space_group_number(host.structure, kinds, COARSE_TOLERANCE_A)
    if fine == coarse or fine is None or coarse is None:
        return None
    names = [SpaceGroup.from_int_number(number).symbol for number in (fine, coarse)]
    return (
        f"{host.name}: {names[0]} within {SYMMETRY_TOLERANCE_A} Å, {names[1]} within "
        f"{COARSE_TOLERANCE_A} Å; if that is rounding in the file, symmetrise it: there are then "
        "fewer distinct orderings"
    )


def _kinds(host: Host) -> list[int]:
    """Sites that symmetry may exchange have the same number."""
    kinds: dict[str, int] = {}
    labels = [str(site.specie) for site in host.structure]
    for number, disorder in enumerate(host.disorder):
        for i in disorder.sites:
            labels[i] = f"sublattice {number}"
        for i in (i for near in disorder.satellites for i in near):
            labels[i] = f"satellites {number}"
    return [kinds.setdefault(label, len(kinds)) for label in labels]


class HostCell:
    """One supercell of a host.

    Args:
        host: the composition and its parent.
        supercell: of `host_parent(host)`.
        label: of the supercell, for names: `2x1x1`.
        one_shape_of_all: every shape of supercell is gone through, so that orderings which repeat
            themselves within this one belong to a smaller one.
        multiplicity: cells that are this one by symmetry, where it is not the parent's only cell of
            its shape; it multiplies numbers of configurations.

    Raises:
        InvalidInput: the supercell holds no whole numbers of some occupant.
    """

    def __init__(
        self,
        host: Host,
        supercell: Supercell,
        label: str,
        one_shape_of_all: bool = False,
        multiplicity: int = 1,
    ) -> None:
        self.host, self.supercell, self.label = host, supercell, label
        self.one_shape_of_all, self._multiplicity = one_shape_of_all, multiplicity
        on = [self._copies(disorder.sites) for disorder in host.disorder]
        near = [self._copies([i for s in d.satellites for i in s]) for d in host.disorder]
        self.sites = np.concatenate([*on, *near, np.empty(0, dtype=np.intp)]).astype(np.intp)
        self._sublattices = []
        start = 0
        for disorder, sites, satellites in zip(host.disorder, on, near, strict=True):
            self._sublattices.append(
                Sublattice(
                    np.arange(start, start + len(sites)),
                    self._amounts(disorder, len(sites)),
                    self._nearest(disorder, sites, satellites),
                )
            )
            start += len(sites)

    def _copies(self, unit_sites: Any) -> NDArray[np.intp]:
        """Sites of the supercell that are copies of sites of the unit cell."""
        return np.flatnonzero(np.isin(self.supercell.unit_site, np.array(unit_sites, dtype=int)))

    def _amounts(self, disorder: Disorder, n_sites: int) -> tuple[int, ...]:
        amounts = [fraction * n_sites for fraction in disorder.fractions]
        for occupant, amount in zip(disorder.occupants, amounts, strict=True):
            if amount.denominator > 1:
                n = math.lcm(*(a.denominator for a in amounts))
                what = "vacancies" if occupant is None else occupant.symbol
                raise InvalidInput(
                    f"{self.host.name}: {float(amount):.4g} {what} on {n_sites} "
                    f"site{'' if n_sites == 1 else 's'}; needed: a whole number, which {n} times "
                    f"as many cells give{self._nearest_fractions(amount, n_sites)}"
                )
        return tuple(int(amount) for amount in amounts)

    @staticmethod
    def _nearest_fractions(amount: Fraction, n_sites: int) -> str:
        """The occupancies next to one that does not fit, where these are still partial."""
        near = {math.floor(amount), math.ceil(amount)} - {0, n_sites}
        parts = " or ".join(f"{n}/{n_sites}" for n in sorted(near))
        return f", or an occupancy of {parts}" if parts else ""

    def _nearest(
        self, disorder: Disorder, sites: NDArray[np.intp], satellites: NDArray[np.intp]
    ) -> NDArray[np.intp] | None:
        """Shape (n_sites, m): the satellites of each site, numbered as in `self.sites`."""
        if not disorder.satellites:
            return None
        coords = self.supercell.frac_coords
        distances_A = self.supercell.lattice.get_all_distances(coords[sites], coords[satellites])
        m = len(satellites) // len(sites)
        chosen = satellites[np.argsort(distances_A, axis=1, kind="stable")[:, :m]]
        if len(np.unique(chosen)) != chosen.size:
            raise InvalidInput(
                f"{self.host.name}: {len(satellites)} hydrogen sites cannot be shared out among "
                f"{len(sites)} sites of oxygen by distance; needed: the same number near each"
            )
        places = np.full(len(coords), -1)
        places[self.sites] = np.arange(len(self.sites))
        return places[chosen]

    @cached_property
    def space(self) -> ConfigurationSpace:
        """All configurations of this cell."""
        permutations = (
            self.supercell.permutations(self.sites)
            if len(self.sites)
            else np.empty((1, 0), dtype=np.int32)
        )
        return ConfigurationSpace(permutations, self._sublattices)

    @property
    def n_configurations(self) -> int:
        """All ways to fill the cell, symmetry apart."""
        return self._multiplicity * self.space.n_configurations

    @cached_property
    def n_orderings(self) -> int:
        """Distinct orderings, in closed form."""
        if self.one_shape_of_all:
            return n_without_repeats(self.supercell, self.sites, self.space)
        return self.space.n_orderings

    def crystals(self, blocks: Iterator[Orderings] | None = None) -> Iterator[Orderings]:
        """All orderings, or those given, as distinct crystals."""
        blocks = self.space.blocks() if blocks is None else blocks
        if len(self.sites):
            merge = without_repeats if self.one_shape_of_all else distinct_crystals
            blocks = merge(self.supercell, self.sites, blocks)
        for block in blocks:
            yield Orderings(block.occupants, block.degeneracies * self._multiplicity)

    def sample(self, n: int, seed: int) -> Iterator[Orderings]:
        """Up to n of them, drawn at random; see `ConfigurationSpace.sample`."""
        # of those drawn where all shapes are gone through, the ones that repeat themselves drop out
        n_drawn = 2 * n + 100 if self.one_shape_of_all else n
        left = n
        for block in self.crystals(iter([self.space.sample(n_drawn, seed)])):
            yield block[:left]
            left -= len(block[:left])

    @cached_property
    def _contents(self) -> list[tuple[Species | None, ...]]:
        """What each number of an occupant means on each of `self.sites`."""
        contents: list[tuple[Species | None, ...]] = [()] * len(self.sites)
        for disorder, sublattice in zip(self.host.disorder, self._sublattices, strict=True):
            for place in sublattice.sites:
                contents[place] = disorder.occupants
            if sublattice.satellites is not None:
                satellite = self.host.satellite(disorder)
                for place in sublattice.satellites.ravel():
                    contents[place] = (None, satellite)
        return contents

    @cached_property
    def _fixed(self) -> list[tuple[int, Species | Element]]:
        """Sites that every ordering fills alike."""
        ordered = set(self.sites.tolist())
        return [
            (i, self.host.structure[u].specie)
            for i, u in enumerate(self.supercell.unit_site.tolist())
            if i not in ordered
        ]

    @cached_property
    def electrostatics(self) -> Electrostatics:
        """Ewald sums of this cell."""
        return Electrostatics(self.supercell.lattice, self.supercell.frac_coords)

    @property
    def has_charges(self) -> bool:
        """Whether oxidation states are known, so that Ewald energies tell orderings apart."""
        return all(site.specie.oxi_state for site in self.host.structure)

    def ewald_energies_eV(self, orderings: Orderings) -> NDArray[np.float64]:
        """Electrostatic energy per cell of the formal charges; 0 where there are none.

        Args:
            orderings: of `crystals`.

        Returns:
            Shape (n_orderings,), in eV.
        """
        if not self.has_charges or not len(self.sites):
            return np.zeros(len(orderings))
        fixed = np.zeros(len(self.supercell.unit_site))
        for i, species in self._fixed:
            fixed[i] = species.oxi_state or 0
        n_occupants = max(map(len, self._contents))
        table = np.zeros((len(self.sites), n_occupants), dtype=np.float32)
        for place, contents in enumerate(self._contents):
            table[place, : len(contents)] = [0 if s is None else s.oxi_state or 0 for s in contents]
        charges = table[np.arange(len(self.sites)), orderings.occupants]
        return self.electrostatics.ordering_energies_eV(fixed, self.sites, charges)

    def expanded_host(self) -> Host:
        """The same host with this supercell as its unit cell, site by site."""
        species = [self.host.structure[u].specie for u in self.supercell.unit_site.tolist()]
        return replace(
            self.host,
            structure=Structure(self.lattice, species, self.supercell.frac_coords),
            disorder=tuple(
                replace(
                    disorder,
                    sites=tuple(self.sites[sublattice.sites].tolist()),
                    satellites=()
                    if sublattice.satellites is None
                    else tuple(map(tuple, self.sites[sublattice.satellites].tolist())),
                )
                for disorder, sublattice in zip(self.host.disorder, self._sublattices, strict=True)
            ),
        )

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for cells that give the same candidates."""
        structure, host = self.host.structure, self.host
        return (
            host.name,
            host.mobile_ion,
            host.disorder,
            structure.lattice.matrix.round(6).tobytes(),
            structure.frac_coords.round(6).tobytes(),
            tuple(map(str, structure.species)),
            self.supercell.rows.tobytes(),
            self.one_shape_of_all,
        )

    @property
    def vectors(self) -> tuple[tuple[float, ...], ...]:
        """Of this cell, as multiples of the host's unit cell vectors."""
        multiples = self.supercell.rows @ np.linalg.inv(self.supercell.parent.unit_cell)
        return tuple(tuple(row) for row in (multiples.round(6) + 0.0).tolist())

    @property
    def n_atoms(self) -> int:
        """In every ordering of this cell."""
        n_atoms = len(self._fixed)
        for disorder, sublattice in zip(self.host.disorder, self._sublattices, strict=True):
            held = zip(disorder.occupants, sublattice.amounts, strict=True)
            n_atoms += sum(n for occupant, n in held if occupant is not None)
            n_atoms += 0 if sublattice.satellites is None else sublattice.amounts[0]
        return n_atoms

    @property
    def parent_symbols(self) -> list[str]:
        """Elements of this cell with every site filled by the first that may sit there."""
        symbols = [species.symbol for _, species in self._fixed]
        for disorder, sublattice in zip(self.host.disorder, self._sublattices, strict=True):
            filled = [occupant for occupant in disorder.occupants if occupant is not None]
            symbols += [filled[0].symbol] * len(sublattice.sites)
            if sublattice.satellites is not None:
                symbols += [self.host.satellite(disorder).symbol] * len(sublattice.sites)
        return symbols

    @cached_property
    def _elements(self) -> tuple[list[str], NDArray[np.int8], NDArray[np.int8]]:
        """Elements in the order in which atoms are listed, and where they are as numbers of these.

        Returns:
            Symbols; for each site of the supercell the element there in every ordering; for each of
            `self.sites` and each occupant the element, shape (n, n_occupants). -1: none.
        """
        found = {i: [species.symbol] for i, species in self._fixed}
        for site, contents in zip(self.sites.tolist(), self._contents, strict=True):
            found[site] = [species.symbol for species in contents if species is not None]
        symbols = list(dict.fromkeys(symbol for i in sorted(found) for symbol in found[i]))
        everywhere = np.full(len(self.supercell.unit_site), -1, dtype=np.int8)
        for i, species in self._fixed:
            everywhere[i] = symbols.index(species.symbol)
        width = max(map(len, self._contents), default=0)
        chosen = np.full((len(self.sites), width), -1, dtype=np.int8)
        for place, contents in enumerate(self._contents):
            chosen[place, : len(contents)] = [
                -1 if species is None else symbols.index(species.symbol) for species in contents
            ]
        return symbols, everywhere, chosen

    def _filled(self, occupants: NDArray[np.uint8]) -> tuple[list[int], NDArray[np.intp]]:
        """Numbers of the elements of an ordering, and the sites they are on.

        Atoms are grouped by element, unless the structure is one in which nothing is ordered.
        """
        _, everywhere, chosen = self._elements
        numbers = everywhere.copy()
        if len(self.sites):
            numbers[self.sites] = chosen[np.arange(len(self.sites)), occupants]
            sites = np.argsort(numbers, kind="stable")
            sites = sites[np.count_nonzero(numbers < 0) :]
        else:
            sites = np.arange(len(numbers))
        return numbers[sites].tolist(), sites

    def atoms(self, occupants: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.float64]]:
        """Elements and fractional coordinates, shape (n_atoms, 3), of one ordering."""
        numbers, sites = self._filled(occupants)
        symbols = self._elements[0]
        return [symbols[number] for number in numbers], self.supercell.frac_coords[sites]

    @property
    def lattice(self) -> Lattice:
        """Of the supercell."""
        return self.supercell.lattice

    @cached_property
    def _patterns(self) -> list[PeriodicSite]:
        """A site with each element, to copy: pymatgen takes ten times as long to make one."""
        return [
            PeriodicSite(Composition(symbol), np.zeros(3), self.lattice, skip_checks=True)
            for symbol in self._elements[0]
        ]

    def structure(self, occupants: NDArray[np.uint8]) -> Structure:
        """One ordering as a structure without charges."""
        numbers, on = self._filled(occupants)
        sites = []
        for number, frac_coords in zip(numbers, self.supercell.frac_coords[on], strict=True):
            site = object.__new__(PeriodicSite)
            site.__dict__.update(self._patterns[number].__dict__)
            site.__dict__.update(_frac_coords=frac_coords, properties={})
            sites.append(site)
        structure = Structure(self.lattice, [], [])
        structure.sites = sites
        return structure
