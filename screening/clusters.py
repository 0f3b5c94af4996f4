"""A group of ions replaced by one ion of the same charge: K+ for [Li2OH]+ in Li2OHCl.

The ion takes the site of one member. Hydrogen bonded to that member leaves with it; the other
members leave vacancies anywhere on the sites of their element. Which ones leave, and how the rest
arranges itself, is for the enumeration of orderings to go through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pymatgen.core.periodic_table import Element, Species

from screening.errors import InvalidInput
from screening.formulas import parse_ion, written
from screening.hosts import MAX_OH_BOND_A, Disorder, Host


def substitute_cluster(
    host: Host,
    group: Mapping[str, int],
    by: str,
    at: str,
    number: int,
    n_unit_cells: int | Fraction,
) -> Host:
    """The host of a supercell in which an ion stands for each of some groups.

    The fractions of the answer are those of supercells of `n_unit_cells` and its multiples.
    Members other than `at` and its hydrogen may leave any site of their element: sublattices that
    hold nothing else but vacancies become one.

    Args:
        host: before the substitution.
        group: members by symbol with their amounts, {"Li": 2, "O": 1, "H": 1}.
        by: the ion that comes, with or without its charge: "K+", "K".
        at: the member whose site it takes.
        number: of groups replaced in the supercell.
        n_unit_cells: unit cells of the host in the supercell.

    Raises:
        InvalidInput: a group or an ion of another charge, members that the host does not hold, or
            holds too few of, or that do not belong together.
    """
    name = _group_name(group)
    if group.get(at) != 1:
        raise InvalidInput(
            f"{host.name}: the ion takes the place of one {at}, of which the group {name} has "
            f"{group.get(at, 0)}; name a member that it has once"
        )
    if number < 1:
        raise InvalidInput(f"{host.name}: {number} groups {name} to replace; give at least 1")
    members = {symbol: _member(host, symbol, name) for symbol in group}
    ion = _ion_for(group, members, by, host.name)
    working = _Sublattices(host, Fraction(n_unit_cells), list(host.disorder))
    for species in members.values():
        if float(species.oxi_state or 0) < 0:
            working.bind_hydrogen(species)
    leaving = dict(group)
    for symbol, carried in working.carried(group, members).items():
        if leaving.pop(symbol, 0) != carried:
            raise InvalidInput(
                f"{host.name}: {carried} {symbol} must leave with the ions of {name} that carry "
                f"them; give {symbol}: {carried} in the group, not {group.get(symbol, 0)}"
            )
    if "H" in leaving and members["H"].oxi_state == 1:
        raise InvalidInput(
            f"{host.name}: H of the group {name} is bonded to no other member; name the member "
            "that carries it too"
        )
    for symbol, amount in leaving.items():
        comes = ion if symbol == at else None
        working.exchange(members[symbol], comes, amount * number, amount, name)
    note = f"{number} {name} replaced by {ion} at {at} in {written(Fraction(n_unit_cells))} cells"
    return replace(host, disorder=tuple(working.disorder), notes=(*host.notes, note))


def _group_name(group: Mapping[str, int]) -> str:
    return "[" + "".join(f"{s}{n if n > 1 else ''}" for s, n in group.items()) + "]"


def _species_of(host: Host) -> list[Species]:
    """All ions of a host, by symbol and charge."""
    occupants = {o for sublattice in host.disorder for o in sublattice.occupants if o is not None}
    occupants |= {Species(site.specie.symbol, site.specie.oxi_state) for site in host.structure}
    return sorted(occupants, key=str)


def _member(host: Host, symbol: str, name: str) -> Species:
    found = [species for species in _species_of(host) if species.symbol == symbol]
    if not found:
        ions = ", ".join(map(str, _species_of(host)))
        raise InvalidInput(
            f"{host.name}: the group {name} holds {symbol}, which the host lacks; it holds {ions}"
        )
    if len(found) > 1:
        raise InvalidInput(
            f"{host.name}: {symbol} of the group {name} is {' and '.join(map(str, found))} in the "
            "host; only an element of one charge can be a member"
        )
    return found[0]


def _ion_for(
    group: Mapping[str, int], members: Mapping[str, Species], by: str, host_name: str
) -> Species:
    """The ion that comes, of exactly the charge of the group."""
    symbol, state = parse_ion(by)
    charges = {member: Fraction(species.oxi_state or 0) for member, species in members.items()}
    charge = sum((charges[member] * n for member, n in group.items()), Fraction(0))
    element = Element(symbol)
    known = (*element.common_oxidation_states, *element.icsd_oxidation_states)
    states = sorted(set(known)) if state is None else [state]
    if charge not in states:
        charges_named = " ".join(f"{float(n * charges[member]):+g}" for member, n in group.items())
        needed = ", ".join(f"{state:+d}" for state in states)
        raise InvalidInput(
            f"{host_name}: the group {_group_name(group)} has the charge {charges_named} = "
            f"{float(charge):+g}, {by} has {needed}; choose another ion or other amounts"
        )
    return Species(symbol, int(charge))


@dataclass
class _Sublattices:
    """The disorder of a host while it is being changed."""

    host: Host
    n_unit_cells: Fraction
    disorder: list[Disorder]

    def fixed_sites(self, species: Species) -> list[int]:
        """Sites of an ion that are in no sublattice and nobody's satellites."""
        taken = {
            site for d in self.disorder for sites in (d.sites, *d.satellites) for site in sites
        }
        structure = self.host.structure
        return [
            i for i in range(len(structure)) if structure[i].specie == species and i not in taken
        ]

    def sublattices_of(self, species: Species) -> list[Disorder]:
        """All that may hold an ion; sites that hold nothing else are one of them."""
        found = [d for d in self.disorder if species in d.occupants]
        if fixed := self.fixed_sites(species):
            found.append(Disorder(tuple(fixed), (species,), (Fraction(1),)))
        return found

    def one_sublattice(self, species: Species) -> Disorder:
        """All sites that may hold an ion, taken out of `disorder`.

        Raises:
            InvalidInput: sublattices that cannot become one.
        """
        found = self.sublattices_of(species)
        self.disorder = [d for d in self.disorder if species not in d.occupants]
        if len(found) == 1:
            return found[0]
        if any(d.satellites or set(d.occupants) - {species, None} for d in found):
            raise InvalidInput(
                f"{self.host.name}: {species} sits on {len(found)} sublattices of different "
                "contents; only one, or several with nothing else but vacancies, can lose ions"
            )
        sites = tuple(site for d in found for site in d.sites)
        held = sum((len(d.sites) * _fraction(d, species) for d in found), Fraction(0)) / len(sites)
        return Disorder(sites, (species, None), (held, 1 - held))

    def bind_hydrogen(self, species: Species) -> None:
        """Make satellites of hydrogen that is bonded to the sites of an ion and is none yet.

        Raises:
            InvalidInput: it is not one filled site of equally many around each ion.
        """
        proton = Species("H", 1)
        around = [d for d in self.disorder if set(d.occupants) == {proton, None}]
        around += [Disorder(tuple(self.fixed_sites(proton)), (proton,), (Fraction(1),))]
        hydrogen = [site for d in around for site in d.sites]
        centres = [site for d in self.sublattices_of(species) for site in d.sites]
        bonded = self._bonded(centres, hydrogen)
        if not any(bonded):
            return
        self.disorder = [d for d in self.disorder if d not in around]
        lattice = self.one_sublattice(species)
        held = len(lattice.sites) * _fraction(lattice, species)
        amount = sum((len(d.sites) * _fraction(d, proton) for d in around), Fraction(0))
        one_each = sorted(h for b in bonded for h in b) == sorted(hydrogen)
        if not one_each or len(set(map(len, bonded))) > 1 or amount != held:
            raise InvalidInput(
                f"{self.host.name}: {written(amount)} H+ on {len(hydrogen)} sites are not one "
                f"within {MAX_OH_BOND_A:g} Å of each of {written(held)} {species}; a "
                "group can be replaced only where each has its own"
            )
        contents: dict[Species | None, Fraction] = {species: held}  # what has satellites is first
        contents |= dict(zip(lattice.occupants, lattice.fractions, strict=True))
        self.disorder.append(
            Disorder(lattice.sites, tuple(contents), tuple(contents.values()), bonded)
        )

    def _bonded(self, sites: Sequence[int], hydrogen: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        structure = self.host.structure
        coords = structure.frac_coords
        distances_A = structure.lattice.get_all_distances(
            coords[list(sites)], coords[list(hydrogen)]
        )
        return tuple(
            tuple(
                h for h, distance_A in zip(hydrogen, row, strict=True) if distance_A < MAX_OH_BOND_A
            )
            for row in distances_A.tolist()
        )

    def carried(self, group: Mapping[str, int], members: Mapping[str, Species]) -> dict[str, int]:
        """Satellites, by symbol, that leave with the members they belong to."""
        carried: dict[str, int] = {}
        for symbol, amount in group.items():
            for d in self.disorder:
                if d.satellites and d.occupants[0] == members[symbol]:
                    satellite = self.host.structure[d.satellites[0][0]].specie.symbol
                    carried[satellite] = carried.get(satellite, 0) + amount
        return carried

    def exchange(
        self, leaves: Species, comes: Species | None, n: int, per_group: int, name: str
    ) -> None:
        """Let n ions in the supercell go, and others or vacancies come in their place.

        Raises:
            InvalidInput: fewer than n are there.
        """
        lattice = self.one_sublattice(leaves)
        n_sites = len(lattice.sites) * self.n_unit_cells
        held = n_sites * _fraction(lattice, leaves)
        if held.denominator != 1 or held < n:
            cells = written(self.n_unit_cells)
            raise InvalidInput(
                f"{self.host.name}: {n} {leaves} are to leave with {n // per_group} {name}, but a "
                f"supercell of {cells} unit cells holds {written(held)}; "
                + (
                    f"replace at most {held // per_group}, or choose a larger supercell"
                    if held.denominator == 1
                    else f"choose one of a multiple of {held.denominator} times as many cells"
                )
            )
        contents = dict(zip(lattice.occupants, lattice.fractions, strict=True))
        contents[leaves] -= n / n_sites
        contents[comes] = contents.get(comes, Fraction(0)) + n / n_sites
        self.disorder.append(
            Disorder(lattice.sites, tuple(contents), tuple(contents.values()), lattice.satellites)
        )


def _fraction(sublattice: Disorder, species: Species) -> Fraction:
    return dict(zip(sublattice.occupants, sublattice.fractions, strict=True))[species]
