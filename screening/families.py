"""From a family to hosts: its neutral compositions, each on the sites of the prototype."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction

from pymatgen.core.periodic_table import Species

from screening.candidate_settings import (
    Family,
    Supercell,
    SupercellsUpTo,
    XRange,
    family_formula,
    n_cells,
)
from screening.compositions import (
    LeftOut,
    Limits,
    Mixture,
    amounts_formula,
    constituents,
    likeliest_ions,
    mixtures,
    units_needed,
    why_not_neutral,
    why_not_whole,
    x_values,
)
from screening.errors import InvalidInput, ScreeningError
from screening.formulas import Formula, exact_fraction, ion_formula, parse_ion, written
from screening.hosts import Host
from screening.occupation import Ions, occupied_prototype, sites_by_charge
from screening.prototypes.library import Prototype, Role, load_prototype

_PRIMITIVE_CELLS = {"A": 2, "B": 2, "C": 2, "I": 2, "F": 4, "R": 3}


def family_hosts(family: Family) -> tuple[list[Host], list[LeftOut]]:
    """One host for each neutral composition of a family, and what is left out with its reason.

    `screening.occupation` has the rule of which ion goes where. A composition is there once,
    whichever x or choice leads to it.
    """
    prototype = load_prototype(family.prototype)
    formula = family_formula(family)
    hosts: dict[frozenset[tuple[Species, Fraction]], Host] = {}
    left_out: dict[tuple[str, str], LeftOut] = {}

    def leave_out(what: str, error: ScreeningError) -> None:
        reason = f"{prototype.name}: {error}"
        left_out[what, reason] = LeftOut(formula=what, reason=reason)

    choices = (
        [m for choice in family.elements[name] for m in mixtures(choice)]
        for name in family.elements
    )
    for chosen in itertools.product(*choices):
        letters = dict(zip(family.elements, chosen, strict=True))
        try:
            series = _Series(family, prototype, formula, letters)
            values = series.x_values()
        except ScreeningError as error:
            leave_out(_explained(formula, letters), error)
            continue
        for x in values:
            try:
                ions = series.ions(x)
                key = frozenset(ions.items())
                if key not in hosts:
                    hosts[key] = series.host(ions, x)
            except ScreeningError as error:
                leave_out(amounts_formula(series.parts, x), error)
    return list(hosts.values()), list(left_out.values())


def _explained(formula: Formula, letters: Mapping[str, Mixture]) -> str:
    """The formula with what its letters stand for, where no x can be named."""
    parts = []
    for name, amount in formula.amounts.items():
        mixture = letters.get(name, {name: Fraction(1)})
        group = ion_formula([(parse_ion(ion)[0], share) for ion, share in mixture.items()])
        parts.append(f"{group if len(mixture) == 1 else f'({group})'}{amount}")
    return "".join(parts)


class _Series:
    """The compositions that one choice for every letter gives."""

    def __init__(
        self,
        family: Family,
        prototype: Prototype,
        formula: Formula,
        letters: Mapping[str, Mixture],
    ) -> None:
        self._x = family.x
        self._prototype = prototype
        self._cells = allowed_cells(family.supercell, prototype)
        self._limits: Limits = formula.limits()
        self._roles: dict[str, Role] = {
            parse_ion(ion)[0]: role
            for name, role in family.sites.items()
            for ion in letters.get(name, (name,))
        }
        self.parts = constituents(formula, letters, family.oxidation_states)

    def x_values(self) -> list[Fraction]:
        """The values of x to try.

        Raises:
            InvalidInput: there are none between those given.
        """
        wanted = self._x
        if not isinstance(wanted, XRange) or wanted.step is not None:
            return x_values(wanted, self.parts, [])
        if any(part.amount.slope for part in self.parts if part.states[0] < 0):
            raise InvalidInput(
                "the number of anions changes with x, so that min and max do not say which x a "
                "supercell allows; give a list, or a step"
            )
        low = exact_fraction(wanted.min)
        sizes = self._sizes(low)
        values = x_values(wanted, self.parts, sizes)
        if not values:
            reason = why_not_whole(self.parts, low, sizes, self._limits, self._fits)
            raise InvalidInput(
                f"no x from {wanted.min:g} to {wanted.max:g} gives whole numbers; {reason}"
            )
        return values

    def _units_per_cell(self, x: Fraction) -> Fraction:
        anions: dict[int, Fraction] = {}
        for part in self.parts:
            charge, amount = part.states[0], part.amount.at(x)
            if charge < 0 and amount:
                anions[charge] = anions.get(charge, Fraction(0)) + amount
        return units_per_cell(self._prototype, anions)

    def _sizes(self, x: Fraction) -> list[Fraction]:
        """Formula units in each supercell that is allowed."""
        units = self._units_per_cell(x)
        return [n * units for n in self._cells]

    def ions(self, x: Fraction) -> Ions:
        """The ions of the neutral composition at x with their amounts per formula unit.

        Raises:
            InvalidInput: it is not neutral.
        """
        ions = likeliest_ions(self.parts, x)
        if ions is None:
            raise InvalidInput(why_not_neutral(self.parts, x, self._limits))
        return ions

    def host(self, ions: Ions, x: Fraction) -> Host:
        """The host of a neutral composition.

        Raises:
            InvalidInput: it does not fit into the prototype, or into no supercell in whole atoms.
        """
        host = self._occupied(ions, x)
        if any(whole_amounts(host, n) is not None for n in self._cells):
            return host
        sizes = self._sizes(x)
        n_needed = units_needed(self.parts, x)
        if any(size % n_needed == 0 for size in sizes):
            raise InvalidInput(
                f"{written(max(sizes))} formula units are whole atoms, but not on each of the "
                f"{len(host.disorder)} sublattices that share an element; choose a larger supercell"
            )
        reason = why_not_whole(self.parts, x, sizes, self._limits, self._fits)
        n_cells = (n_needed / self._units_per_cell(x)).numerator
        raise InvalidInput(f"{reason}, such as supercell [1, 1, {n_cells}]")

    def _occupied(self, ions: Ions, x: Fraction) -> Host:
        units = self._units_per_cell(x)
        per_cell = {ion: amount * units for ion, amount in ions.items()}
        return occupied_prototype(self._prototype, per_cell, self._roles)

    def _fits(self, x: Fraction) -> bool:
        """Whether x is neutral and has a place for every ion; supercells are not asked for."""
        try:
            self._occupied(self.ions(x), x)
        except ScreeningError:
            return False
        return True


def units_per_cell(prototype: Prototype, anions: Mapping[int, Fraction]) -> Fraction:
    """Formula units that fill the anion sites of a prototype's unit cell.

    Args:
        prototype: all of whose anion sites are filled.
        anions: of each charge, per formula unit.

    Raises:
        InvalidInput: the anions of the formula and the sites are not in the same ratio.
    """
    sites = sites_by_charge(prototype)
    if sites.keys() == anions.keys():
        ratios = {sites[charge] / amount for charge, amount in anions.items()}
        if len(ratios) == 1:
            return ratios.pop()
    raise InvalidInput(
        f"the formula has {_anions(anions)}, the cell of the prototype {_anions(sites)}; needed: "
        "the same ratio of the same charges"
    )


def _anions(amounts: Mapping[int, Fraction]) -> str:
    """`4 anions 1- and 1 anion 2-`."""
    each = (
        f"{written(n)} anion{'' if n == 1 else 's'} {-charge}-"
        for charge, n in sorted(amounts.items(), reverse=True)
    )
    return " and ".join(each) or "no anions"


def allowed_cells(supercell: Supercell, prototype: Prototype) -> list[Fraction]:
    """The unit cells of a prototype in each supercell that a setting allows, rising."""
    if isinstance(supercell, SupercellsUpTo):
        centring = prototype.space_group[0]
        rhombohedral_axes = centring == "R" and prototype.lattice[5] != 120
        n_primitive = 1 if rhombohedral_axes else _PRIMITIVE_CELLS.get(centring, 1)
        return [Fraction(n, n_primitive) for n in range(1, supercell.max_cells + 1)]
    return [Fraction(n_cells(supercell))]


def whole_amounts(host: Host, n_unit_cells: Fraction | int) -> tuple[tuple[int, ...], ...] | None:
    """How many sites each occupant of each sublattice holds in a supercell.

    Args:
        host: with its disorder.
        n_unit_cells: unit cells of the host in the supercell; a fraction for primitive cells.

    Returns:
        One tuple for each of `host.disorder`, in the order of its occupants; None where any of
        these numbers is not whole.
    """
    amounts = [
        [fraction * len(sublattice.sites) * n_unit_cells for fraction in sublattice.fractions]
        for sublattice in host.disorder
    ]
    if any(amount.denominator > 1 for row in amounts for amount in row):
        return None
    return tuple(tuple(map(int, row)) for row in amounts)
