"""From a campaign's settings to candidates: one composition in one host with one ordering each."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from pymatgen.core.composition import Composition
from pymatgen.core.periodic_table import Element
from pymatgen.core.structure import Structure

from screening.compositions import LeftOut, neutral_compositions, whole_number_of
from screening.documents import Candidate, Document, Origin
from screening.errors import InvalidInput, ScreeningError
from screening.orderings import (
    count_orderings,
    enumerate_orderings,
    ewald_energies,
    site_permutations,
)
from screening.prototypes.library import load_prototype

MobileIon = Literal["Li", "Na", "K"]
Anion = Literal["F", "Cl", "Br", "I"]


def _known_element(symbol: str) -> str:
    if not Element.is_valid_symbol(symbol):
        symbols = [element.symbol for element in Element]
        nearest = get_close_matches(symbol.capitalize(), symbols, n=1, cutoff=0)[0]
        raise ValueError(f'"{symbol}" is no element symbol; did you mean {nearest}?')
    return symbol


def _known_prototype(name: str) -> str:
    try:
        load_prototype(name)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return name


ElementSymbol = Annotated[str, AfterValidator(_known_element)]
Supercell = tuple[PositiveInt, PositiveInt, PositiveInt]

_EQUAL_ENERGY_EV = 1e-6  # per cell; sums for equivalent orderings differ by 1e-12


class Settings(BaseModel):
    """A frozen block of settings that accepts no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Family(Settings):
    """All charge-neutral compositions of one prototype."""

    prototype: Annotated[str, AfterValidator(_known_prototype)] = Field(
        description="name of a shipped prototype", examples=["k2ptcl6"]
    )
    mobile_ions: tuple[MobileIon, ...] = Field(
        min_length=1, description="one candidate series each", examples=[["K"]]
    )
    framework: tuple[ElementSymbol, ...] = Field(
        min_length=1, description="elements tried on the framework sites", examples=[["Ta", "Nb"]]
    )
    anions: tuple[Anion, ...] = Field(
        min_length=1, description="halogens tried on the anion sites", examples=[["Cl"]]
    )
    mobile_filling: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1,
        description="fractions of the mobile sites that are filled",
        examples=[[0.5, 1.0]],
    )
    oxidation_states: dict[
        ElementSymbol, Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    ] = Field(
        default={},
        description="oxidation states allowed to framework elements; one not named here may have "
        "its common ones",
    )
    supercell: Supercell = Field(
        default=(1, 1, 1), description="conventional cells along a, b and c that are ordered"
    )
    max_orderings: PositiveInt = Field(
        default=100, description="a composition with more distinct orderings is an error"
    )

    @model_validator(mode="after")
    def _charges_of_the_framework(self) -> Self:
        if strangers := sorted(self.oxidation_states.keys() - set(self.framework)):
            raise ValueError(
                f"oxidation_states names {', '.join(strangers)}, which the framework "
                f"{list(self.framework)} does not hold"
            )
        return self


class StructureFile(Settings):
    """A structure of the user's own; partially occupied mobile sites are ordered."""

    path: str = Field(
        min_length=1, description="CIF, POSCAR or whatever pymatgen reads; relative to this file"
    )
    mobile_ion: MobileIon = Field(description="the ion whose motion is asked for")
    supercell: Supercell = Field(
        default=(1, 1, 1), description="cells of the file along a, b and c"
    )
    max_orderings: PositiveInt = Field(
        default=100, description="more distinct orderings than this are an error"
    )


class CandidateSettings(Settings):
    """What is screened: families of compositions, the user's own structures, or both."""

    families: tuple[Family, ...] = Field(
        default=(), description="prototypes with the elements to try on their sites"
    )
    files: tuple[StructureFile, ...] = Field(default=(), description="the user's own structures")

    @model_validator(mode="after")
    def _something_to_screen(self) -> Self:
        if not (self.families or self.files):
            raise ValueError("families and files are both empty; name at least one of either")
        return self


class Enumeration(Document):
    """All candidates of a campaign, and what was left out on the way."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = Field(description="one entry a formula")


def enumerate_candidates(
    settings: CandidateSettings, structures: Mapping[str, Structure] | None = None
) -> Enumeration:
    """All candidates, each once, in the order of the settings.

    The orderings of one composition are numbered by the Ewald energy of the formal charges, lowest
    first, equal ones by the sites they fill. Structures keep the coordinates of their host; whether
    atoms overlap is for `check_structure` to say, one candidate at a time.

    Args:
        settings: families and files.
        structures: the structure of each file by its path, already read.

    Raises:
        InvalidInput: more orderings than allowed.
        UnusableStructure: a host whose symmetry cannot be determined.
    """
    hosts: list[_Host] = []
    reasons: dict[str, list[str]] = {}
    for family in settings.families:
        family_hosts, left_out = _family_hosts(family)
        hosts.extend(family_hosts)
        for entry in left_out:
            reasons.setdefault(entry.formula, []).append(entry.reason)
    for file in settings.files:
        try:
            hosts.append(_file_host(file, structures or {}))
        except ScreeningError as error:  # one file that cannot be used does not stop the others
            reasons.setdefault(file.path, []).append(str(error))
    candidates: dict[str, Candidate] = {}
    for host in hosts:
        for candidate in _ordered_candidates(host):
            _add(candidates, candidate)
    return Enumeration(
        candidates=tuple(candidates.values()),
        left_out=tuple(
            LeftOut(formula=formula, reason="; ".join(dict.fromkeys(found)))
            for formula, found in reasons.items()
        ),
    )


def _add(candidates: dict[str, Candidate], candidate: Candidate) -> None:
    """Add a candidate once; another one with its id (a second POSCAR, say) is numbered."""
    identifier, number = candidate.id, 1
    while (known := candidates.get(candidate.id)) is not None:
        if known == candidate:
            return
        number += 1
        candidate = candidate.model_copy(update={"id": f"{identifier}.{number}"})
    candidates[candidate.id] = candidate


@dataclass(frozen=True)
class _Host:
    """A cell with all its sites, of which `n_filled` of `sites` are to be filled."""

    name: str
    label: str
    source: str
    mobile_ion: str
    structure: Structure
    charges: Sequence[float]
    sites: Sequence[int]
    n_filled: int
    max_orderings: int


def _family_hosts(family: Family) -> tuple[list[_Host], list[LeftOut]]:
    """One host a neutral composition, and what is not neutral."""
    prototype = load_prototype(family.prototype)
    neutral, left_out = neutral_compositions(
        prototype,
        family.mobile_ions,
        family.framework,
        family.anions,
        family.mobile_filling,
        family.oxidation_states,
        math.prod(family.supercell),
    )
    hosts = []
    for composition in neutral:
        structure = prototype.structure(composition.species) * family.supercell
        hosts.append(
            _Host(
                name=prototype.name,
                label=prototype.name + _cells(family.supercell),
                source=prototype.source,
                mobile_ion=composition.species["mobile"].symbol,
                structure=structure,
                charges=[float(site.specie.oxi_state or 0) for site in structure],
                sites=[
                    i for i, site in enumerate(structure) if site.properties["role"] == "mobile"
                ],
                n_filled=composition.n_filled,
                max_orderings=family.max_orderings,
            )
        )
    return hosts, left_out


def _file_host(file: StructureFile, structures: Mapping[str, Structure]) -> _Host:
    """The user's structure; an ordered one is a host that leaves no choice.

    Raises:
        InvalidInput: disorder other than one partially occupied sublattice of the mobile ion.
    """
    if file.path not in structures:
        raise InvalidInput(f"{file.path} was not read; give its structure")
    structure = structures[file.path] * file.supercell
    partial = [i for i, site in enumerate(structure) if not site.is_ordered]
    occupancies = set()
    for i in partial:
        site = structure[i]
        if [element.symbol for element in site.species.elements] != [file.mobile_ion]:
            raise InvalidInput(
                f"{file.path}: site {i + 1} holds {site.species_string}; only partial occupancy by "
                f"the mobile ion {file.mobile_ion} alone can be ordered; give whole atoms elsewhere"
            )
        occupancies.add(round(site.species.num_atoms, 4))
    if len(occupancies) > 1:
        raise InvalidInput(
            f"{file.path}: {file.mobile_ion} sites are filled to {sorted(occupancies)}; one "
            "occupancy can be ordered; give whole atoms on the other sites"
        )
    filling = occupancies.pop() if occupancies else 1.0
    n_filled = whole_number_of(filling, len(partial)) if partial else 0
    if n_filled is None:
        raise InvalidInput(
            f"{file.path}: {filling:g} of {len(partial)} {file.mobile_ion} sites is "
            f"{filling * len(partial):g} ions; round the occupancy or choose a supercell that "
            "gives a whole number"
        )
    return _Host(
        name=file.path,
        label=_safe(PurePath(file.path).stem) + _cells(file.supercell),
        source=file.path,
        mobile_ion=file.mobile_ion,
        structure=structure,
        charges=_guessed_charges(structure, len(partial) - n_filled, file.mobile_ion),
        sites=partial,
        n_filled=n_filled,
        max_orderings=file.max_orderings,
    )


def _guessed_charges(structure: Structure, n_vacancies: int, mobile_ion: str) -> list[float]:
    """The likeliest charges of a user's structure; all 0 where nothing is to be ordered."""
    symbols = [site.species.elements[0].symbol for site in structure]
    amounts = {symbol: symbols.count(symbol) for symbol in symbols}
    if not n_vacancies:
        return [0.0] * len(symbols)
    amounts[mobile_ion] -= n_vacancies
    guesses = Composition(amounts).reduced_composition.oxi_state_guesses()
    return [guesses[0][symbol] if guesses else 0.0 for symbol in symbols]


def _ordered_candidates(host: _Host) -> Iterator[Candidate]:
    """The distinct orderings of a host, numbered by energy.

    Raises:
        InvalidInput: there are too many; they are counted before they are made.
    """
    symbols = np.array([site.species.elements[0].symbol for site in host.structure])
    coords, lattice = host.structure.frac_coords, host.structure.lattice
    present = np.ones((1, len(symbols)), dtype=np.bool_)
    degeneracies, energies_eV = [1], np.zeros(1)
    if host.n_filled < len(host.sites):
        permutations = site_permutations(host.structure, host.sites)
        n_orderings = count_orderings(permutations, host.n_filled)
        if n_orderings > host.max_orderings:
            raise InvalidInput(
                f"{host.name}: {n_orderings:,} distinct orderings of {host.n_filled} "
                f"{host.mobile_ion} on {len(host.sites)} sites of {host.structure.formula}, more "
                f"than max_orderings={host.max_orderings}; choose a smaller supercell or another "
                "filling, or raise max_orderings"
            )
        orderings = enumerate_orderings(permutations, host.n_filled)
        present = np.repeat(present, n_orderings, axis=0)
        present[:, host.sites] = orderings.occupied
        degeneracies = orderings.degeneracies.tolist()
        energies_eV = ewald_energies(host.structure, host.charges, present)
    ranked = _by_energy(energies_eV)
    for number, i in enumerate(ranked, start=1):
        structure = Structure(lattice, symbols[present[i]], coords[present[i]])
        yield Candidate(
            id=f"{_plain_formula(structure.composition)}-{host.label}-{number}",
            formula=structure.composition.reduced_formula,
            mobile_ion=host.mobile_ion,
            origin=Origin(
                host=host.name,
                source=host.source,
                parent_formula=Composition(Counter(symbols.tolist())).formula,
                ordering=number,
                n_orderings=len(ranked),
                degeneracy=degeneracies[i],
                n_configurations=math.comb(len(host.sites), host.n_filled),
            ),
            structure=structure,
        )


def _by_energy(energies_eV: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices by rising energy; energies that differ by rounding alone keep their order."""
    rising = np.argsort(energies_eV)
    steps_eV = np.diff(energies_eV[rising], prepend=energies_eV[rising[0]])
    levels = np.empty(len(rising), dtype=np.intp)
    levels[rising] = np.cumsum(steps_eV > _EQUAL_ENERGY_EV)
    return np.argsort(levels, kind="stable")


def _cells(supercell: Supercell) -> str:
    """`-2x1x1`, and nothing for a single cell."""
    return "" if math.prod(supercell) == 1 else "-" + "x".join(map(str, supercell))


def _safe(name: str) -> str:
    """What is left of a name once it must do as a file name everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "file"


def _plain_formula(composition: Composition) -> str:
    """Reduced formula without brackets."""
    parts = composition.reduced_composition.formula.split()
    return "".join(re.sub(r"(?<=[A-Za-z])1$", "", part) for part in parts)
