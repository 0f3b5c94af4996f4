"""A crystal for drawing: atoms and their images on the cell's border, bonds, polyhedra, vacancies.

All coordinates are Cartesian and every atom is listed, so that whoever draws needs no symmetry.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.molecule_structure_comparator import CovalentRadius
from pymatgen.core.periodic_table import Element
from scipy.spatial import ConvexHull, QhullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from workflows.vacant_sites import VacantSites

Point = tuple[float, float, float]
Image = tuple[int, int, int]
Key = tuple[int, Image]  # an atom of the cell, and the cell that it is shown in

ANIONS = frozenset({"F", "Cl", "Br", "I", "O", "S", "Se", "Te", "N"})
ALKALI = frozenset({"Li", "Na", "K", "Rb", "Cs"})
MAX_ATOMS = 4000  # with images; more take seconds to draw and show nothing
_BORDER_A = 0.4  # atoms so near to a face of the cell are shown on the opposite one, too
_LONGEST_BOND = 1.3  # of the sum of the covalent radii
_FIRST_SHELL = 1.25  # of the distance of the nearest anion
_FARTHEST_A = 4.5
_FLAT = 1e-3  # normals of two triangles of one face differ by less


@dataclass(frozen=True)
class SceneAtom:
    """An atom, or its image.

    Args:
        label: element, number in the structure, and fractional coordinates.
        is_image: shown once more, on the border of the cell or at a polyhedron's corner.
    """

    element: str
    at: Point
    label: str
    is_image: bool


@dataclass(frozen=True)
class Polyhedron:
    """The anions around a cation as a solid.

    Args:
        faces: triangles, as indices into `corners`.
        edges: without those between triangles of one face.
    """

    element: str
    corners: tuple[Point, ...]
    faces: tuple[tuple[int, int, int], ...]
    edges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SceneVacancy:
    """An empty site, or its image."""

    at: Point
    label: str


@dataclass(frozen=True)
class LegendEntry:
    """How an element is drawn, and how many of its atoms the cell holds."""

    element: str
    colour: str
    radius_A: float
    number: int


@dataclass(frozen=True)
class Scene:
    """What is drawn, ready for JSON.

    Args:
        summary: for who cannot see it.
        cell: lattice vectors from the origin.
        cell_edges: ends of the twelve edges.
        bonds: pairs of places in `atoms`.
        note: what is not known of it, or left out; empty where there is nothing to say.
    """

    summary: str
    atoms: tuple[SceneAtom, ...]
    bonds: tuple[tuple[int, int], ...]
    polyhedra: tuple[Polyhedron, ...]
    vacancies: tuple[SceneVacancy, ...]
    cell: tuple[Point, Point, Point]
    cell_edges: tuple[tuple[Point, Point], ...]
    legend: tuple[LegendEntry, ...]
    note: str


def structure_scene(structure: Structure, vacancies: VacantSites) -> Scene:
    """The unit cell with everything on its border, and polyhedra whole even where they stick out.

    Polyhedra are around the cations that hold the anions fast: all but alkali ions and hydrogen.
    Where there are no others, alkali ions have bonds. A cation's anions are its first shell.

    Args:
        structure: ordered.
        vacancies: sites to mark.
    """
    crystal = _Crystal(structure)
    atoms, bonds, polyhedra, left_out = crystal.drawn()
    numbers = Counter(crystal.symbols)
    notes = [vacancies.note]
    if left_out:
        notes.append("Too many atoms for images on the border and polyhedra.")
    return Scene(
        summary=_summary(structure, numbers, len(vacancies.sites), polyhedra),
        atoms=atoms,
        bonds=bonds,
        polyhedra=polyhedra,
        vacancies=tuple(_vacancies(crystal, vacancies)),
        cell=tuple(map(_point, crystal.matrix_A)),  # type: ignore[arg-type]
        cell_edges=tuple(_cell_edges(crystal.matrix_A)),
        legend=tuple(
            LegendEntry(symbol, colour_of(symbol), _radius_A(symbol), number)
            for symbol, number in numbers.items()
        ),
        note=" ".join(note for note in notes if note),
    )


class _Crystal:
    """A structure with its atoms in the cell from 0 to 1."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.symbols = [site.specie.symbol for site in structure]
        self.places: NDArray[np.float64] = structure.frac_coords % 1.0
        self.places[self.places > 1 - 1e-9] = 0.0
        self.matrix_A = np.asarray(structure.lattice.matrix)
        self.shells = self._shells()

    def cartesian(self, key: Key) -> NDArray[np.float64]:
        """Å."""
        atom, image = key
        return np.asarray((self.places[atom] + image) @ self.matrix_A)

    def borders(self, place: NDArray[np.float64]) -> Iterable[Image]:
        """Cells in which something at this place lies on the border of the one from 0 to 1."""
        near = _BORDER_A / np.linalg.norm(self.matrix_A, axis=1)
        shifts = [
            (0, 1) if x < margin else (0, -1) if x > 1 - margin else (0,)
            for x, margin in zip(place, near, strict=True)
        ]
        return ((a, b, c) for a, b, c in product(*shifts))

    def drawn(
        self,
    ) -> tuple[tuple[SceneAtom, ...], tuple[tuple[int, int], ...], tuple[Polyhedron, ...], bool]:
        """Atoms, bonds, polyhedra; whether images and polyhedra are left out for their number."""
        shown: dict[Key, None] = {(atom, (0, 0, 0)): None for atom in range(len(self.symbols))}
        for atom, place in enumerate(self.places):
            shown.update(((atom, image), None) for image in self.borders(place))
        shells = {
            key: [(anion, _sum(image, key[1])) for anion, image in self.shells[key[0]]]
            for key in shown
            if key[0] in self.shells
        }
        for (centre, _), shell in shells.items():
            if self.symbols[centre] not in ALKALI:  # a polyhedron needs all its corners
                shown.update((key, None) for key in shell)
        if left_out := len(shown) > MAX_ATOMS:
            shown = {(atom, (0, 0, 0)): None for atom in range(len(self.symbols))}
            shells = {}
        numbers = {key: place for place, key in enumerate(shown)}
        bonds = {
            (numbers[centre], numbers[anion])
            for centre, shell in shells.items()
            for anion in shell
            if anion in numbers
        }
        bonds |= {
            (numbers[hydrogen], numbers[other]) for hydrogen, other in self._hydrogen_bonds(shown)
        }
        polyhedra = (self._polyhedron(centre, shell) for centre, shell in shells.items())
        return (
            tuple(map(self._atom, shown)),
            tuple(sorted(bonds)),
            tuple(polyhedron for polyhedron in polyhedra if polyhedron),
            left_out,
        )

    def _atom(self, key: Key) -> SceneAtom:
        atom, image = key
        x, y, z = self.places[atom] + image
        symbol = self.symbols[atom]
        label = f"{symbol} {atom + 1} at ({x:.3f}, {y:.3f}, {z:.3f})"
        return SceneAtom(symbol, _point(self.cartesian(key)), label, image != (0, 0, 0))

    def _shells(self) -> dict[int, list[Key]]:
        """The first shell of anions around each cation that holds some fast."""
        held = set(self.symbols) - ANIONS - {"H"}
        centres = (held - ALKALI) or held
        found: dict[int, list[tuple[float, Key]]] = defaultdict(list)
        for atom, other, image, distance_A in self._neighbours(_FARTHEST_A):
            symbols = self.symbols[atom], self.symbols[other]
            longest_A = _LONGEST_BOND * sum(map(_covalent_A, symbols))
            if symbols[0] in centres and symbols[1] in ANIONS and distance_A < longest_A:
                found[atom].append((distance_A, (other, image)))
        return {
            atom: [key for distance_A, key in around if distance_A < _FIRST_SHELL * min(around)[0]]
            for atom, around in found.items()
        }

    def _hydrogen_bonds(self, shown: dict[Key, None]) -> Iterator[tuple[Key, Key]]:
        if "H" not in self.symbols:
            return
        for atom, other, image, distance_A in self._neighbours(1.5):
            symbols = self.symbols[atom], self.symbols[other]
            if symbols[0] == "H" and distance_A < 1.2 * sum(map(_covalent_A, symbols)):
                for key in [key for key in shown if key[0] == atom]:
                    if (neighbour := (other, _sum(image, key[1]))) in shown:
                        yield key, neighbour

    def _neighbours(self, radius_A: float) -> Iterable[tuple[int, int, Image, float]]:
        """Pairs with the image of the second, for places from 0 to 1."""
        moved = np.round(self.places - self.structure.frac_coords).astype(int)
        centres, others, images, distances_A = self.structure.get_neighbor_list(radius_A)
        images = np.rint(images).astype(int) + moved[centres] - moved[others]
        return zip(
            centres.tolist(),
            others.tolist(),
            map(tuple, images.tolist()),
            distances_A.tolist(),
            strict=True,
        )

    def _polyhedron(self, centre: Key, shell: list[Key]) -> Polyhedron | None:
        """None where the anions lie in a plane, or are too few, and around alkali ions."""
        if self.symbols[centre[0]] in ALKALI:
            return None
        corners = np.array([self.cartesian(key) for key in shell])
        if len(corners) < 4:
            return None
        try:
            hull = ConvexHull(corners)
        except QhullError:
            return None
        return Polyhedron(
            self.symbols[centre[0]],
            tuple(map(_point, corners)),
            tuple((a, b, c) for a, b, c in hull.simplices.tolist()),
            tuple(_edges(hull)),
        )


def _edges(hull: ConvexHull) -> Iterator[tuple[int, int]]:
    """Edges of the hull between triangles that do not lie in one plane."""
    sides: dict[tuple[int, int], list[NDArray[np.float64]]] = defaultdict(list)
    for triangle, equation in zip(hull.simplices.tolist(), hull.equations, strict=True):
        for a, b in combinations(sorted(triangle), 2):
            sides[a, b].append(equation[:3])
    for edge, normals in sides.items():
        if len(normals) < 2 or float(normals[0] @ normals[1]) < 1 - _FLAT:
            yield edge


def _vacancies(crystal: _Crystal, vacancies: VacantSites) -> Iterator[SceneVacancy]:
    for site in vacancies.sites:
        place = np.array(site.fractional) % 1.0
        for image in crystal.borders(place):
            at = (place + image) @ crystal.matrix_A
            x, y, z = place + image
            label = f"vacancy of {' or '.join(site.species)} at ({x:.3f}, {y:.3f}, {z:.3f})"
            yield SceneVacancy(_point(at), label)


def _cell_edges(matrix_A: NDArray[np.float64]) -> Iterator[tuple[Point, Point]]:
    for corner in product((0, 1), repeat=3):
        for axis in range(3):
            if corner[axis] == 0:
                start = np.array(corner, dtype=float)
                end = start.copy()
                end[axis] = 1
                yield _point(start @ matrix_A), _point(end @ matrix_A)


def _summary(
    structure: Structure,
    numbers: Counter[str],
    n_vacancies: int,
    polyhedra: tuple[Polyhedron, ...],
) -> str:
    lattice = structure.lattice
    a, b, c = (f"{length:.2f}" for length in lattice.abc)
    angles = ", ".join(f"{angle:.1f}°" for angle in lattice.angles)
    atoms = ", ".join(f"{number} {symbol}" for symbol, number in numbers.items())
    text = (
        f"Unit cell of {structure.composition.reduced_formula}, {a} × {b} × {c} Å, angles "
        f"{angles}, with {len(structure)} atoms: {atoms}"
    )
    if n_vacancies:
        text += f"; {n_vacancies} vacant site{'s' * (n_vacancies > 1)}"
    if polyhedra:
        kinds = Counter((p.element, len(p.corners)) for p in polyhedra)
        shapes = ", ".join(f"{element} with {n} corners" for element, n in kinds)
        text += f"; polyhedra around {shapes}"
    return f"{text}."


@cache
def _colours() -> dict[str, str]:
    """Those of VESTA, by way of pymatgen."""
    from ruamel.yaml import YAML

    text = resources.files("pymatgen.core").joinpath("ElementColorSchemes.yaml").read_text()
    schemes = YAML(typ="safe").load(text)
    return {
        symbol: f"#{red:02x}{green:02x}{blue:02x}"
        for symbol, (red, green, blue) in schemes["VESTA"].items()
    }


def colour_of(symbol: str) -> str:
    """As VESTA has it; grey for what it does not know."""
    return _colours().get(symbol, "#808080")


def _covalent_A(symbol: str) -> float:
    return float(CovalentRadius.radius.get(symbol, 1.5))


def _radius_A(symbol: str) -> float:
    """Of the ball: small enough to see through the crystal."""
    radius = Element(symbol).atomic_radius
    return round(0.2 + 0.22 * float(radius or 1.5), 3)


def _point(vector: NDArray[np.float64]) -> Point:
    x, y, z = (round(float(value), 3) for value in vector)
    return x, y, z


def _sum(one: Image, other: Image) -> Image:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
