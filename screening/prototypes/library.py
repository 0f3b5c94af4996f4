"""Halide prototypes: structures as data, built for any species."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Species
from pymatgen.core.structure import Structure
from ruamel.yaml import YAML

from screening.errors import InvalidInput

Role = Literal["mobile", "framework", "anion"]
CATIONS: tuple[Role, ...] = ("mobile", "framework")


class PrototypeSite(BaseModel):
    """One Wyckoff orbit and what it is there for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wyckoff: str
    role: Role
    species: str
    xyz: tuple[float, float, float]

    @property
    def multiplicity(self) -> int:
        """Sites in the conventional cell."""
        return int(self.wyckoff[:-1])


class Prototype(BaseModel):
    """A structure type with a role for each of its sites; see the head of library.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    source: str
    space_group: str
    lattice: tuple[float, float, float, float, float, float]
    sites: tuple[PrototypeSite, ...]

    def n_sites(self, role: Role) -> int:
        """Sites of a role in the conventional cell."""
        return sum(site.multiplicity for site in self.sites if site.role == role)

    def structure(self, species: Mapping[Role, Species]) -> Structure:
        """The conventional cell with every site filled, at a sensible starting volume.

        All lengths are scaled by the ratio of the mean cation-anion contact (sum of ionic radii)
        to that of the source's own species; where the contact of framework and anion alone asks
        for more, by the geometric mean of the two. Fractional coordinates stay, and the source's
        own species give the source's own cell.

        Args:
            species: what goes on the sites of each role, with its charge.

        Returns:
            Charged species, and each site's role as the site property `role`.

        Raises:
            InvalidInput: no ionic radius is known for a species.
        """
        new = [species[site.role] for site in self.sites]
        old = [Species.from_str(site.species) for site in self.sites]
        mean = self._contact(new, CATIONS) / self._contact(old, CATIONS)
        framework = self._contact(new, ("framework",)) / self._contact(old, ("framework",))
        scale = max(mean, math.sqrt(mean * framework))
        own = _own_structure(self)
        roles = own.site_properties["role"]
        return Structure(
            Lattice(own.lattice.matrix * scale),
            [species[role] for role in roles],
            own.frac_coords,
            site_properties={"role": roles},
        )

    def _contact(self, species: Sequence[Species], cations: Sequence[Role]) -> float:
        """Mean radius of the anions and mean radius of some cations, added, in Å."""
        contact_A = 0.0
        for roles in (("anion",), cations):
            radii_A = [
                ionic_radius(ion)
                for site, ion in zip(self.sites, species, strict=True)
                if site.role in roles
                for _ in range(site.multiplicity)
            ]
            contact_A += sum(radii_A) / len(radii_A)
        return contact_A


@functools.cache
def _own_structure(prototype: Prototype) -> Structure:
    """The conventional cell as published."""
    return Structure.from_spacegroup(
        prototype.space_group,
        Lattice.from_parameters(*prototype.lattice),
        [site.species for site in prototype.sites],
        [site.xyz for site in prototype.sites],
        site_properties={"role": [site.role for site in prototype.sites]},
    )


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
    """Identity of all prototypes together."""
    return hashlib.sha256(_library_file().read_bytes()).hexdigest()


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
    text = _library_file().read_text(encoding="utf-8")
    entries = YAML(typ="safe", pure=True).load(text)
    return {name: Prototype(name=name, **entry) for name, entry in entries.items()}


def _library_file() -> Traversable:
    return resources.files(__package__).joinpath("library.yaml")
