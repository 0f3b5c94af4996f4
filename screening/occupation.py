"""Which ion of a composition goes where in a prototype.

Li, Na and K are mobile, hydrogen 1+ belongs to oxygen, other cations are framework, unless the user
says otherwise; an anion goes to anion sites whose own species has its charge. Mobile ions first
fill the shared framework sites that framework cations leave, then the mobile sites, then vacant
ones. The orbits of one kind are one sublattice, over which its ions are spread at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from pymatgen.core.periodic_table import Species

from screening.errors import InvalidInput
from screening.formulas import ion_formula, written
from screening.hosts import ALKALI_METALS, MAX_OH_BOND_A, Disorder, Host
from screening.prototypes.library import Prototype, Role

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

Ions = dict[Species, Fraction]  # with their numbers, in the order in which a site lists them
Group = tuple[list[int], Ions]  # orbits that are one sublattice, and the ions on them

_EQUAL_DISTANCE_A = 0.1


def occupied_prototype(
    prototype: Prototype, ions: Ions, roles: Mapping[str, Role] | None = None
) -> Host:
    """The host of one composition.

    Args:
        prototype: gives the sites.
        ions: numbers in its unit cell; anions fill the anion sites.
        roles: of cations that go elsewhere than the rule says, by symbol.

    Raises:
        InvalidInput: no ion could move, there are more ions than sites, framework sites stay empty,
            or hydrogen does not match the prototype.
    """
    groups = _groups(prototype, ions, roles or {})
    contents: list[Ions] = [{} for _ in prototype.sites]
    for orbits, held in groups:
        n_sites = _n_sites(prototype, orbits)
        for orbit in orbits:
            contents[orbit] = {ion: number / n_sites for ion, number in held.items()}
    structure = prototype.structure(contents)
    disorder = (_disorder(structure, orbits, contents[orbits[0]]) for orbits, _ in groups)
    return Host(
        name=prototype.name,
        source=prototype.source,
        mobile_ion=most_mobile_ion(ions),
        structure=structure,
        disorder=tuple(sublattice for sublattice in disorder if sublattice),
    )


def most_mobile_ion(ions: Mapping[Species, Fraction]) -> str:
    """The alkali metal of which there is most, of several the first.

    Raises:
        InvalidInput: there is none.
    """
    mobile = [ion for ion in ions if ion.symbol in ALKALI_METALS]
    if not mobile:
        raise InvalidInput("no Li, Na or K that could move; needed: at least one of them")
    return str(max(mobile, key=lambda ion: ions[ion]).symbol)


def sites_by_charge(prototype: Prototype) -> dict[int, Fraction]:
    """Anion sites of each charge in the unit cell."""
    sites: dict[int, Fraction] = {}
    for site in prototype.sites:
        if site.role == "anion":
            charge = _charge(Species.from_str(site.species))
            sites[charge] = sites.get(charge, Fraction(0)) + site.multiplicity
    return sites


def _groups(prototype: Prototype, ions: Ions, roles: Mapping[str, Role]) -> list[Group]:
    """Every sublattice with its ions; sublattices without sites or ions are left out."""
    pools: dict[Role, Ions] = {}
    anions: dict[int, Ions] = {charge: {} for charge in sites_by_charge(prototype)}
    for ion, number in ions.items():
        if (charge := _charge(ion)) < 0:
            anions.setdefault(charge, {})[ion] = number
        else:
            pools.setdefault(_role(ion, roles), {})[ion] = number
    _check_hydrogen(prototype, pools.get("hydrogen", {}), anions.get(-2, {}))
    groups = [
        *_cation_groups(prototype, pools),
        (_orbits(prototype, "hydrogen"), pools.get("hydrogen", {})),
        *((_orbits(prototype, "anion", charge=z), held) for z, held in anions.items()),
    ]
    return [(orbits, held) for orbits, held in groups if orbits and held]


def _role(cation: Species, roles: Mapping[str, Role]) -> Role:
    if cation.symbol in roles:
        return roles[cation.symbol]
    if cation.symbol in ALKALI_METALS:
        return "mobile"
    return "hydrogen" if cation.symbol == "H" else "framework"


def _cation_groups(prototype: Prototype, pools: Mapping[Role, Ions]) -> list[Group]:
    """Cations on framework, shared, mobile and vacant sites."""
    own, shared = _orbits(prototype, "framework"), _orbits(prototype, "framework", shared=True)
    mobile, vacant = _orbits(prototype, "mobile"), _orbits(prototype, "vacant")
    n_own, n_shared, n_mobile, n_vacant = (
        _n_sites(prototype, orbits) for orbits in (own, shared, mobile, vacant)
    )
    framework, moving, in_holes = (
        pools.get(role, {}) for role in ("framework", "mobile", "vacant")
    )
    found = f"{_counted(framework)} for {n_own + n_shared} framework sites a cell"
    on_own, rest = _take(framework, n_own)
    on_shared, rest = _take(rest, n_shared)
    if rest:
        raise InvalidInput(f"{found}, too many; `sites` can send some of them elsewhere")
    filling, moving_on = _take(moving, n_shared - sum(on_shared.values()))
    n_empty = n_own + n_shared - sum(framework.values()) - sum(filling.values())
    if n_empty:
        raise InvalidInput(
            f"{found} leave {written(Fraction(n_empty))} of these empty; needed: as many ions as "
            "sites, `sites` can send others there"
        )
    on_mobile, beyond = _take(moving_on, n_mobile)
    in_vacant = in_holes | {ion: number + in_holes.get(ion, 0) for ion, number in beyond.items()}
    if sum(in_vacant.values()) > n_vacant:
        shares = f", {n_shared} shared with the framework" if n_shared else ""
        raise InvalidInput(
            f"{_counted(moving | in_holes)} for {n_mobile} mobile sites a cell, {n_vacant} vacant "
            f"ones{shares}: too many"
        )
    return [
        (own, on_own),
        (shared, on_shared | filling),
        (mobile, on_mobile),
        (vacant, in_vacant),
    ]


def _take(pool: Ions, n_sites: Fraction | int) -> tuple[Ions, Ions]:
    """Ions of a pool for so many sites, a mixture in its own ratio, and what remains of it."""
    total = sum(pool.values(), Fraction(0))
    if total <= n_sites:
        return dict(pool), {}
    share = n_sites / total
    taken = {ion: number * share for ion, number in pool.items() if share}
    return taken, {ion: number * (1 - share) for ion, number in pool.items()}


def _check_hydrogen(prototype: Prototype, hydrogen: Ions, oxides: Ions) -> None:
    has_sites = bool(_orbits(prototype, "hydrogen"))
    if hydrogen and not has_sites:
        raise InvalidInput("the formula has hydrogen, the prototype no sites for it")
    n_hydrogen, n_oxygen = (
        sum(number for ion, number in held.items() if ion.symbol == symbol)
        for held, symbol in ((hydrogen, "H"), (oxides, "O"))
    )
    if has_sites and n_hydrogen != n_oxygen:
        raise InvalidInput(
            f"{written(Fraction(n_hydrogen))} H for {written(Fraction(n_oxygen))} O a cell; needed "
            "by the prototype: one at each"
        )


def _orbits(prototype: Prototype, role: Role, shared: bool = False, charge: int = 0) -> list[int]:
    """Orbits of a role, of anions those of one charge."""
    return [
        i
        for i, site in enumerate(prototype.sites)
        if site.role == role
        and site.shared == shared
        and charge in {0, _charge(Species.from_str(site.species))}
    ]


def _n_sites(prototype: Prototype, orbits: Sequence[int]) -> int:
    return sum(prototype.sites[orbit].multiplicity for orbit in orbits)


def _charge(ion: Species) -> int:
    return int(ion.oxi_state or 0)


def _counted(ions: Ions) -> str:
    """`5 cations (Zr3.5Y1.5)`."""
    total = sum(ions.values(), Fraction(0))
    names = ion_formula([(ion.symbol, number) for ion, number in ions.items()])
    return f"{written(total)} cation{'' if total == 1 else 's'}" + (f" ({names})" if names else "")


def _disorder(structure: Structure, orbits: Sequence[int], contents: Ions) -> Disorder | None:
    """The disorder of one sublattice; None where all its sites are alike."""
    orbit_of, role_of = (structure.site_properties[name] for name in ("orbit", "role"))
    sites = tuple(i for i, orbit in enumerate(orbit_of) if orbit in orbits)
    if role_of[sites[0]] == "hydrogen":
        return None  # part of the disorder of oxygen
    hydrogens = [i for i, role in enumerate(role_of) if role == "hydrogen"]
    occupants: list[Species | None] = list(contents)
    satellites: tuple[tuple[int, ...], ...] = ()
    if hydrogens and "O" in {ion.symbol for ion in contents}:
        occupants.sort(key=lambda ion: ion is None or ion.symbol != "O")
        satellites = _satellites(structure, sites, hydrogens)
    fractions = [contents[ion] for ion in occupants if ion]
    if vacancies := 1 - sum(fractions):
        occupants.append(None)
        fractions.append(Fraction(vacancies))
    if len(occupants) == 1 and not satellites:
        return None
    return Disorder(sites, tuple(occupants), tuple(fractions), satellites)


def _satellites(
    structure: Structure, oxygens: Sequence[int], hydrogens: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """The equally near hydrogen sites around each oxygen; nothing where that is one each."""
    around = []
    for distances_A in structure.distance_matrix[list(oxygens)][:, hydrogens]:
        reach_A = min(MAX_OH_BOND_A, distances_A.min() + _EQUAL_DISTANCE_A)
        around.append(tuple(hydrogens[j] for j in (distances_A <= reach_A).nonzero()[0]))
    counts = {len(near) for near in around}
    if len(counts) > 1 or counts == {0}:
        raise InvalidInput(f"hydrogen sites within {MAX_OH_BOND_A} Å of oxygen: {sorted(counts)}")
    return () if counts == {1} else tuple(around)
