"""Supercells in which ions stand for clusters: one cell for each distinct place of the ions.

The ions are placed first. What is left to be ordered around them (which members leave, where the
other vacancies are, how hydroxide ions turn) is then the configuration space of a cell whose
symmetry is what the ions leave of the parent's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure

from screening.clusters import substitute_cluster
from screening.errors import InvalidInput
from screening.formulas import parse_ion
from screening.host_cells import HostCell, host_parent
from screening.hosts import Disorder, Host
from screening.ordering_settings import ClusterSubstitution
from screening.orderings.parent import Supercell
from screening.orderings.space import ConfigurationSpace, Sublattice
from screening.structures import shortest_contact_A

MAX_PLACES = 1000  # distinct places of the ions; each is a cell of its own


def cells_with_clusters_replaced(
    host: Host, supercell: Supercell, label: str, settings: ClusterSubstitution
) -> Iterator[HostCell]:
    """One cell for each distinct place of the ions that come.

    Sites that may be vacant and are too close to such an ion for any atom (see
    `screening.structures`) stay vacant.

    Args:
        host: before the substitution.
        supercell: of the host.
        label: of the supercell.
        settings: what leaves and what comes.

    Raises:
        InvalidInput: the substitution is impossible, the ions have more than MAX_PLACES distinct
            places, or too few sites are left for the others.
    """
    n_cells = Fraction(supercell.n_cells, supercell.parent.n_cells_of_unit)
    symbol, _ = parse_ion(settings.by)
    if any(ion.symbol == symbol for ion in host.amounts()):
        raise InvalidInput(
            f"{host.name}: {symbol} is to come in place of a cluster, but the host holds {symbol} "
            "already; choose another ion, or write the composition as a formula"
        )
    replaced = substitute_cluster(
        host, settings.group, settings.by, settings.at, settings.number, n_cells
    )
    if not any(n for ion, n in replaced.amounts().items() if ion.symbol == host.mobile_ion):
        raise InvalidInput(
            f"{host.name}: no {host.mobile_ion} would be left to move in supercell {label}; "
            "replace fewer, or choose a larger supercell"
        )
    parent = host_parent(replaced)
    rows = np.rint(supercell.lattice.matrix @ np.linalg.inv(parent.lattice)).astype(np.int64)
    own_supercell = Supercell(parent, rows)
    expanded = HostCell(replaced, own_supercell, label).expanded_host()
    (lattice,) = (d for d in expanded.disorder if _ion(d, symbol))
    n_sites, n_ions = len(lattice.sites), settings.number
    space = ConfigurationSpace(
        own_supercell.permutations(lattice.sites),
        [Sublattice(np.arange(n_sites), (n_ions, n_sites - n_ions))],
    )
    if space.n_orderings > MAX_PLACES:
        raise InvalidInput(
            f"{host.name}: {n_ions} {symbol} have {space.n_orderings:,} distinct places in "
            f"supercell {label}, more than {MAX_PLACES:,}; replace fewer, or choose a smaller one"
        )
    places = space.enumerate()
    found: list[tuple[int, Host]] = []
    problem: InvalidInput | None = None
    for i in range(len(places)):
        chosen = np.array(lattice.sites)[places.occupants[i] == 0]
        try:
            found.append((i, _with_ions_placed(expanded, lattice, symbol, set(chosen.tolist()))))
        except InvalidInput as error:  # no room for the others beside ions in these places
            problem = error
    if problem and not found:
        raise problem
    for i, own in found:
        assert _ions(own) == _ions(expanded), "ions are placed, none comes or goes"
        if problem:
            note = f"{len(places) - len(found)} of {len(places)} places of {symbol} have no room"
            own = replace(own, notes=(*own.notes, note))  # noqa: PLW2901
        yield HostCell(
            own,
            host_parent(own).supercell((1, 1, 1)),
            label if len(places) == 1 else f"{label}-{symbol}{i + 1}",
            multiplicity=int(places.degeneracies[i]),
        )


def _ions(host: Host) -> dict[Species, Fraction]:
    return {ion: amount for ion, amount in host.amounts().items() if amount}


def _ion(disorder: Disorder, symbol: str) -> Species | None:
    """The occupant of that element, if a sublattice has one."""
    found = [o for o in disorder.occupants if o is not None and o.symbol == symbol]
    return found[0] if found else None


def _with_ions_placed(host: Host, lattice: Disorder, symbol: str, chosen: set[int]) -> Host:
    """The host with its ions on some sites of their sublattice.

    Args:
        host: whose unit cell is the supercell.
        lattice: the sublattice that the ions share.
        symbol: of the ions.
        chosen: sites of the ions.
    """
    ion = _ion(lattice, symbol)
    assert ion is not None
    gone = {
        satellite
        for site, near in zip(
            lattice.sites, lattice.satellites or [()] * len(lattice.sites), strict=True
        )
        if site in chosen
        for satellite in near
    }
    rest = _without_ion(lattice, ion, chosen)
    disorder: list[Disorder | None] = [rest if len(rest.occupants) > 1 or rest.satellites else None]
    species = {i: site.specie for i, site in enumerate(host.structure)} | dict.fromkeys(chosen, ion)
    if held := [occupant for occupant in rest.occupants if occupant is not None]:
        species |= dict.fromkeys(rest.sites, held[0])
    else:
        gone |= set(rest.sites)
    closed = 0
    for other in host.disorder:
        if other is not lattice:
            near = _too_close(host, other, ion, chosen)
            disorder.append(_with_sites_closed(host, other, near))
            gone |= near
            closed += len(near)
    kept = [i for i in range(len(host.structure)) if i not in gone]
    new = {old: i for i, old in enumerate(kept)}
    structure = host.structure
    note = f"{closed} sites too close to {symbol} stay vacant"
    return replace(
        host,
        structure=Structure(
            structure.lattice,
            [species[i] for i in kept],
            structure.frac_coords[kept],
        ),
        disorder=tuple(
            replace(
                d,
                sites=tuple(new[i] for i in d.sites),
                satellites=tuple(tuple(new[i] for i in near) for near in d.satellites),
            )
            for d in disorder
            if d is not None
        ),
        notes=(*host.notes, note) if closed else host.notes,
    )


def _without_ion(lattice: Disorder, ion: Species, chosen: set[int]) -> Disorder:
    """The sublattice of the ions without them; one occupant may be left, or no site."""
    kept = [k for k, site in enumerate(lattice.sites) if site not in chosen]
    amounts = {
        occupant: fraction * len(lattice.sites)
        for occupant, fraction in zip(lattice.occupants, lattice.fractions, strict=True)
        if occupant != ion and fraction
    }
    return Disorder(
        sites=tuple(lattice.sites[k] for k in kept),
        occupants=tuple(amounts),
        fractions=tuple(amount / len(kept) for amount in amounts.values()),
        satellites=tuple(lattice.satellites[k] for k in kept) if lattice.satellites else (),
    )


def _too_close(host: Host, other: Disorder, ion: Species, chosen: set[int]) -> set[int]:
    """Sites of a sublattice with vacancies on which no atom has room beside the ions."""
    if None not in other.occupants or other.satellites:
        return set()
    coords = host.structure.frac_coords
    distances_A = host.structure.lattice.get_all_distances(
        coords[sorted(chosen)], coords[list(other.sites)]
    ).min(axis=0)
    limit_A = min(shortest_contact_A(ion.symbol, o.symbol) for o in other.occupants if o)
    return {site for site, d in zip(other.sites, distances_A, strict=True) if d < limit_A}


def _with_sites_closed(host: Host, other: Disorder, closed: set[int]) -> Disorder | None:
    """The sublattice without some of its sites, which hold vacancies; None if no site is left.

    Raises:
        InvalidInput: there are not so many vacancies.
    """
    if not closed:
        return other
    amounts = {
        occupant: fraction * len(other.sites)
        for occupant, fraction in zip(other.occupants, other.fractions, strict=True)
    }
    amounts[None] -= len(closed)
    if amounts[None] < 0:
        raise InvalidInput(
            f"{host.name}: {len(closed)} sites are too close to the ions that come, but only "
            f"{amounts[None] + len(closed)} can be vacant; replace fewer, or choose a larger "
            "supercell"
        )
    n_left = len(other.sites) - len(closed)
    if n_left == 0:
        return None
    return Disorder(
        sites=tuple(site for site in other.sites if site not in closed),
        occupants=tuple(amounts),
        fractions=tuple(amount / n_left for amount in amounts.values()),
    )
