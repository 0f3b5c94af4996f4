"""A host: the unit cell of one composition in one parent, with what is disordered in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pymatgen.core.periodic_table import Species

from screening.compositions import (
    Constituent,
    amounts_formula,
    likeliest_ions,
    usual_oxidation_states,
)
from screening.errors import InvalidInput
from screening.formulas import ROUNDING, Amount, exact_fraction, written

if TYPE_CHECKING:
    from pymatgen.core.structure import PeriodicSite, Structure

ALKALI_METALS = ("Li", "Na", "K")
MAX_OH_BOND_A = 1.3


@dataclass(frozen=True)
class Disorder:
    """One sublattice of the unit cell whose sites hold several occupants.

    Args:
        sites: of the unit cell.
        occupants: what may sit on a site; None is a vacancy.
        fractions: of the sites that each occupant holds; they sum to 1.
        satellites: empty, or for each site the unit-cell sites of which exactly one is filled while
            the site holds `occupants[0]` (the hydrogen of a hydroxide ion).
    """

    sites: tuple[int, ...]
    occupants: tuple[Species | None, ...]
    fractions: tuple[Fraction, ...]
    satellites: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Host:
    """One composition in one parent, to be ordered in any supercell.

    Args:
        name: of the prototype, or the path of the user's file.
        source: DOI, ICSD number or file.
        mobile_ion: symbol of the ion whose motion is asked for.
        structure: unit cell with every site present; a disordered site holds its first occupant
            that is no vacancy. Species carry oxidation states, 0 where none is known.
        disorder: sublattices that share no site.
        notes: what a reader of the candidate should know of how the host was made.
    """

    name: str
    source: str
    mobile_ion: str
    structure: Structure
    disorder: tuple[Disorder, ...] = ()
    notes: tuple[str, ...] = ()

    def satellite(self, disorder: Disorder) -> Species:
        """What the satellites of a sublattice hold where they are filled."""
        return _species(self.structure[disorder.satellites[0][0]])

    def amounts(self) -> dict[Species, Fraction]:
        """Ions in the unit cell, satellites included."""
        apart = {i for d in self.disorder for sites in (d.sites, *d.satellites) for i in sites}
        amounts: dict[Species, Fraction] = defaultdict(Fraction)
        for i, site in enumerate(self.structure):
            if i not in apart:
                amounts[_species(site)] += 1
        for d in self.disorder:
            for occupant, fraction in zip(d.occupants, d.fractions, strict=True):
                if occupant is not None:
                    amounts[occupant] += fraction * len(d.sites)
            if d.satellites:
                amounts[self.satellite(d)] += d.fractions[0] * len(d.sites)
        return dict(amounts)


def _species(site: PeriodicSite) -> Species:
    """What an ordered site holds, with its charge."""
    assert isinstance(site.specie, Species)
    return site.specie


def file_host(
    name: str,
    structure: Structure,
    mobile_ion: str,
    oxidation_states: Mapping[str, Sequence[int]] | None = None,
) -> Host:
    """The host that a user's file describes; partly filled sites are its disorder.

    Sites that hold the same species in the same amounts are one sublattice.

    Args:
        name: path of the file.
        structure: what was read from it.
        mobile_ion: symbol.
        oxidation_states: allowed to elements that carry none in the file; others may have those of
            the ICSD.

    Raises:
        InvalidInput: no mobile ion, a site that holds more than one whole atom, or charges given
            that cannot be balanced.
    """
    shares = [_shares(name, i, site) for i, site in enumerate(structure)]
    amounts: dict[Species, Fraction] = defaultdict(Fraction)
    for share in shares:
        for species, amount in share.items():
            amounts[species] += amount
    if mobile_ion not in {species.symbol for species in amounts}:
        found = ", ".join(sorted({species.symbol for species in amounts}))
        raise InvalidInput(
            f"{name}: no {mobile_ion}, the mobile ion, on any site; the file holds {found}"
        )
    n_sites = Counter(species for share in shares for species in share)
    charged, notes = _charged(name, amounts, n_sites, oxidation_states or {})
    sublattices: dict[tuple[tuple[Species, Fraction], ...], list[int]] = defaultdict(list)
    ordered = structure.copy()
    for i, share in enumerate(shares):
        contents = tuple((charged[species], amount) for species, amount in share.items())
        ordered.replace(i, contents[0][0], properties={})
        if len(contents) > 1 or contents[0][1] != 1:
            sublattices[tuple(sorted(contents, key=str))].append(i)
    return Host(
        name=name,
        source=name,
        mobile_ion=mobile_ion,
        structure=ordered,
        disorder=tuple(_disorder(sites, dict(contents)) for contents, sites in sublattices.items()),
        notes=notes,
    )


def _disorder(sites: Sequence[int], contents: Mapping[Species, Fraction]) -> Disorder:
    filled = sum(contents.values(), Fraction(0))
    occupants: dict[Species | None, Fraction] = dict(contents.items())
    if filled < 1:
        occupants[None] = 1 - filled
    return Disorder(tuple(sites), tuple(occupants), tuple(occupants.values()))


def _shares(name: str, i: int, site: PeriodicSite) -> dict[Species, Fraction]:
    """Exact amounts of the species on a site; their charge is 0 where the file gives none."""
    shares: dict[Species, Fraction] = defaultdict(Fraction)
    for species, amount in site.species.items():
        if not getattr(species, "Z", 0):
            raise InvalidInput(f"{name}: site {i + 1} holds {species}, which is no element")
        charge = getattr(species, "oxi_state", None) or 0
        shares[Species(species.symbol, charge)] += exact_fraction(amount)
    if len(shares) > 1 and abs(site.species.num_atoms - 1) < ROUNDING:  # .333 + .333 + .334
        most = max(shares, key=lambda species: shares[species])
        shares[most] += 1 - sum(shares.values())
    if sum(shares.values()) > 1:
        raise InvalidInput(
            f"{name}: site {i + 1} holds {site.species_string}, "
            f"{float(sum(shares.values())):.6g} atoms; needed: at most 1"
        )
    return dict(shares)


def _charged(
    name: str,
    amounts: Mapping[Species, Fraction],
    n_sites: Mapping[Species, int],
    states: Mapping[str, Sequence[int]],
) -> tuple[dict[Species, Species], tuple[str, ...]]:
    """Every species with its charge, and a note where none is neutral.

    Raises:
        InvalidInput: the charges are given, in the file or by `states`, and their sum is not 0.
    """
    symbols = {species.symbol for species in amounts}
    if all(species.oxi_state for species in amounts):
        total = sum((Fraction(s.oxi_state or 0) * n for s, n in amounts.items()), Fraction(0))
        if total:
            raise InvalidInput(
                f"{name}: the charges of the file sum to {float(total):+.4g} a cell"
                f"{_neutral_occupancy(amounts, n_sites, total)}"
            )
        return {species: species for species in amounts}, ()
    parts = [
        Constituent(
            species.symbol,
            (int(species.oxi_state),)
            if species.oxi_state
            else tuple(states.get(species.symbol, ()))
            or usual_oxidation_states(species.symbol, with_oxygen="O" in symbols),
            Amount(n),
        )
        for species, n in amounts.items()
    ]
    if ions := likeliest_ions(parts, Fraction(0)):
        likeliest = {ion.symbol: ion for ion in ions}
        return {s: s if s.oxi_state else likeliest[s.symbol] for s in amounts}, ()
    formula = amounts_formula(parts, Fraction(0))
    if states:
        raise InvalidInput(
            f"{name}: no choice of oxidation states makes {formula} neutral; allow others in "
            "oxidation_states, or change the occupancies"
        )
    note = f"no usual oxidation states make {formula} neutral: orderings have no Ewald energies"
    return {s: Species(s.symbol, 0) for s in amounts}, (note,)


def _neutral_occupancy(
    amounts: Mapping[Species, Fraction], n_sites: Mapping[Species, int], total: Fraction
) -> str:
    """The occupancy by a mobile ion that would balance the charge, if its sites can have it."""
    for species, n in amounts.items():
        needed = n - total / Fraction(species.oxi_state or 1)
        if species.symbol in ALKALI_METALS and 0 < needed <= n_sites[species]:
            return (
                f"; needed: 0, which {written(needed)} instead of {written(n)} {species.symbol} on "
                f"its {n_sites[species]} sites would give, an occupancy of "
                f"{needed / n_sites[species]}"
            )
    return "; needed: 0"
