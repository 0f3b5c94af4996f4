"""Halide host prototypes: structure types as data, built for any ions."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fractions import Fraction
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure
from ruamel.yaml import YAML

from screening.errors import InvalidInput

Role = Literal["mobile", "framework", "anion", "vacant", "hydrogen"]
Contents = Mapping[Species, Fraction]  # mean contents of a site; what is missing to 1 is vacancy

CATIONS: tuple[Role, ...] = ("mobile", "framework", "vacant")
FRAMEWORK: tuple[Role, ...] = ("framework",)
ANIONS: tuple[Role, ...] = ("anion",)


class PrototypeSite(BaseModel):
    """One Wyckoff orbit, what it is there for and how far its source fills it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wyckoff: str
    role: Role
    species: str
    xyz: tuple[float, float, float]
    shared: bool = False
    occupancy: Fraction = Field(default=Fraction(1), gt=0, le=1)

    @property
    def multiplicity(self) -> int:
        """Sites in the conventional cell."""
        return int(self.wyckoff[:-1])

    @model_validator(mode="after")
    def _only_framework_is_shared(self) -> Self:
        if self.shared and self.role != "framework":
            raise ValueError(f"{self.wyckoff} is {self.role}; only framework sites are shared")
        return self


class Prototype(BaseModel):
    """A structure type with a role for each of its sites; see the head of hosts.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    formula: str
    source: str
    space_group: str
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[PrototypeSite, ...]

    def n_sites(self, role: Role) -> int:
        """Sites of a role in the conventional cell."""
        return sum(site.multiplicity for site in self.sites if site.role == role)

    def own_structure(self) -> Structure:
        """The source's conventional cell with every site filled, also vacant and hydrogen sites.

        Returns:
            Charged species, and as site properties each site's `role` and `orbit`, its index into
            `sites`.
        """
        return _own_structure(self).copy()

    def own_contents(self) -> list[dict[Species, Fraction]]:
        """What the source's own compound has on each orbit; nothing on the vacant ones."""
        return [_own_contents(self, site) for site in self.sites]

    def structure(self, contents: Sequence[Contents]) -> Structure:
        """The conventional cell for other contents, at a sensible starting volume.

        All lengths are scaled by the ratio of the mean cation-anion contact (sum of ionic radii)
        to that of the source's own ions on the same sites; where the contact of framework and
        anion alone asks for more, by the geometric mean of the two. Sites count as far as they are
        filled, so vacancies change nothing. Fractional coordinates stay, but for hydrogen, which
        keeps its distance to the nearest oxygen. The source's own contents give its own cell.

        Args:
            contents: what is on each orbit, in the order of `sites`; fractions of at most 1.

        Returns:
            Every orbit that holds anything, each of its sites with the first species named; site
            properties as in `own_structure`.

        Raises:
            InvalidInput: no ionic radius is known for a species.
        """
        filled = [{ion: share for ion, share in site.items() if share} for site in contents]
        if len(filled) != len(self.sites):
            raise ValueError(f"{self.name} has {len(self.sites)} orbits, not {len(filled)}")
        own = _own_structure(self)
        keep = [i for i, orbit in enumerate(own.site_properties["orbit"]) if filled[orbit]]
        orbits = [own.site_properties["orbit"][i] for i in keep]
        scale = self._scale(filled)
        lattice = Lattice(own.lattice.matrix * scale)
        return Structure(
            lattice,
            [next(iter(filled[orbit])) for orbit in orbits],
            _bonded_to_oxygen(own, lattice)[keep],
            site_properties={
                "role": [self.sites[orbit].role for orbit in orbits],
                "orbit": orbits,
            },
        )

    def _scale(self, contents: Sequence[Contents]) -> float:
        """Ratio of lengths to those of the source."""
        mean = self._contact_ratio(contents, CATIONS)
        framework = self._contact_ratio(contents, FRAMEWORK)
        return max(mean, math.sqrt(mean * framework))

    def _contact_ratio(self, contents: Sequence[Contents], cations: Sequence[Role]) -> float:
        """Contact of the anions with some cations, relative to the source's; 1 without either."""
        new_A = old_A = 0.0
        for roles in (ANIONS, cations):
            new_sum_A = old_sum_A = n_ions = 0.0
            for site, here in zip(self.sites, contents, strict=True):
                n_here = float(site.multiplicity * sum(here.values()))
                if site.role in roles and n_here:
                    n_ions += n_here
                    new_sum_A += n_here * _mean_radius(here)
                    own = _own_contents(self, site) or {Species.from_str(site.species): Fraction(1)}
                    old_sum_A += n_here * _mean_radius(own)
            if not n_ions:
                return 1.0
            new_A += new_sum_A / n_ions
            old_A += old_sum_A / n_ions
        return new_A / old_A


def _own_contents(prototype: Prototype, site: PrototypeSite) -> dict[Species, Fraction]:
    """Mean contents of one orbit in the source's compound."""
    if site.role == "vacant":
        return {}
    contents = {Species.from_str(site.species): site.occupancy}
    if site.shared and site.occupancy < 1:
        mobile = next(other.species for other in prototype.sites if other.role == "mobile")
        contents[Species.from_str(mobile)] = 1 - site.occupancy
    return contents


def _mean_radius(contents: Contents) -> float:
    """Mean ionic radius of what is on a site, in Å, vacancies left out."""
    total = sum(contents.values())
    return sum(float(share / total) * ionic_radius(ion) for ion, share in contents.items())


@functools.cache
def _own_structure(prototype: Prototype) -> Structure:
    """The conventional cell as published."""
    return Structure.from_spacegroup(
        prototype.space_group,
        Lattice.from_parameters(*prototype.lattice),
        [site.species for site in prototype.sites],
        [site.xyz for site in prototype.sites],
        site_properties={
            "role": [site.role for site in prototype.sites],
            "orbit": list(range(len(prototype.sites))),
        },
    )


def _bonded_to_oxygen(own: Structure, lattice: Lattice) -> NDArray[np.float64]:
    """Fractional coordinates in a scaled cell: as before, but with O-H bonds as long as before."""
    frac_coords: NDArray[np.float64] = own.frac_coords.copy()
    oxygens = [i for i, site in enumerate(own) if site.specie.symbol == "O"]
    for i, role in enumerate(own.site_properties["role"]):
        if role == "hydrogen":
            nearest = min(oxygens, key=lambda oxygen: own.get_distance(i, oxygen))
            _, image = own[nearest].distance_and_image(own[i])
            bond = own.frac_coords[i] + image - own.frac_coords[nearest]
            frac_coords[i] -= bond * (1 - own.lattice.a / lattice.a)
    return frac_coords


def ionic_radius(species: Species) -> float:
    """Ionic radius in Å; that of the element's nearest charge where its own is not tabulated.

    Raises:
        InvalidInput: the element has no ionic radius of that sign.

    Reference:
        Shannon, Acta Cryst. A 32, 751 (1976), doi:10.1107/S0567739476001551, by way of pymatgen.
    """
    charge = species.oxi_state or 0
    radii = {z: r for z, r in species.element.ionic_radii.items() if z * charge > 0}
    if not radii:
        raise InvalidInput(f"no ionic radius is known for {species}; leave {species.element} out")
    return float(radii[min(radii, key=lambda z: abs(z - charge))])


def library_sha256() -> str:
    """Identity of all prototypes that come with the package."""
    return hashlib.sha256(_hosts_file().read_bytes()).hexdigest()


def prototype_names() -> list[str]:
    """Names of all prototypes that come with the package."""
    return list(_library())


def load_prototype(name: str) -> Prototype:
    """The prototype of that name.

    Raises:
        InvalidInput: there is none; the message names the nearest and all others.
    """
    library = _library()
    if name not in library:
        nearest = get_close_matches(name.lower(), library, n=1, cutoff=0)[0]
        raise InvalidInput(
            f'no prototype "{name}"; did you mean {nearest}? There are: {", ".join(library)}'
        )
    return library[name]


@functools.cache
def _library() -> dict[str, Prototype]:
    entries = YAML(typ="safe", pure=True).load(_hosts_file().read_text(encoding="utf-8"))
    return {name: Prototype(name=name, **entry) for name, entry in entries.items()}


def _hosts_file() -> Traversable:
    return resources.files(__package__).joinpath("hosts.yaml")
