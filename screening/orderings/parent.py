"""The symmetry of an empty host, as permutations of its sites in any supercell.

All of it is exact once the space group of the primitive cell is known: a site is a vector of whole
numbers and the number of a site of the primitive cell, and an operation acts on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from screening.errors import InvalidInput, UnusableStructure
from screening.orderings.supercells import distinct_forms, normal_form
from screening.orderings.symmetry import (
    SYMMETRY_TOLERANCE_A,
    Operations,
    space_group_operations,
)

MAX_PERMUTATION_NUMBERS = 2 * 10**8  # a cubic host with 3,000 sites; 0.8 GB
_MATCH_A = 10 * SYMMETRY_TOLERANCE_A
_CHUNK = 1_000_000  # distances held at once


@dataclass(frozen=True)
class Parent:
    """The infinite crystal of an empty host.

    Args:
        lattice: primitive lattice vectors as rows, shape (3, 3), in Å.
        frac_coords: shape (n_sites, 3), of the primitive cell's sites.
        unit_site: shape (n_sites,), which site of the given unit cell each is.
        unit_cell: shape (3, 3), rows of the given unit cell in primitive lattice vectors.
        rotations: shape (n_operations, 3, 3), on fractional coordinates.
        images: shape (n_operations, n_sites), the site that each is carried to.
        shifts: shape (n_operations, n_sites, 3), and by how many lattice vectors it lies off.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    unit_site: NDArray[np.int64]
    unit_cell: NDArray[np.int64]
    rotations: NDArray[np.int64]
    images: NDArray[np.int64]
    shifts: NDArray[np.int64]

    @classmethod
    def from_structure(
        cls, structure: Structure, kinds: Sequence[int] | NDArray[np.int64] | None = None
    ) -> Self:
        """Find the primitive cell and the space group.

        Args:
            structure: any cell of the host, with all sites present.
            kinds: shape (n_sites,); symmetry never exchanges sites of different kinds. By default
                sites are of one kind when they hold the same species in the same amounts.

        Raises:
            UnusableStructure: no space group is found, or it is none within the tolerance.
        """
        if kinds is None:
            names = [site.species_string for site in structure]
            kinds = [names.index(name) for name in names]
        given = structure.lattice.matrix
        kinds = np.asarray(kinds, dtype=np.int64)
        found = space_group_operations(given, structure.frac_coords, kinds, structure)
        pure = np.all(found.rotations == np.eye(3), axis=(1, 2))
        unit_cell = _primitive_vectors(found.translations[pure], structure)
        lattice = np.linalg.inv(unit_cell) @ given
        coords = structure.frac_coords @ unit_cell
        unit_site = np.arange(len(coords))
        if pure.sum() > 1:
            unit_site = _one_of_each(lattice, coords, kinds)
        if len(unit_site) * pure.sum() != len(structure):
            raise _too_close(structure) or _only_roughly(structure)
        coords, kinds = coords[unit_site], kinds[unit_site]
        if len(unit_site) < len(structure):
            found = space_group_operations(lattice, coords, kinds, structure)
            if len(np.unique(found.rotations, axis=0)) < len(found.rotations):
                raise _only_roughly(structure)
        images, shifts = _site_images(lattice, coords, kinds, found)
        return cls(lattice, coords, unit_site, unit_cell, found.rotations, images, shifts)

    @classmethod
    def without_symmetry(cls, structure: Structure) -> Self:
        """A structure in which nothing is left to be ordered, as it is."""
        n_sites, identity = len(structure), np.eye(3, dtype=np.int64)
        return cls(
            lattice=structure.lattice.matrix,
            frac_coords=structure.frac_coords,
            unit_site=np.arange(n_sites),
            unit_cell=identity,
            rotations=identity[None],
            images=np.arange(n_sites)[None],
            shifts=np.zeros((1, n_sites, 3), dtype=np.int64),
        )

    @property
    def n_cells_of_unit(self) -> int:
        """Primitive cells in the given unit cell."""
        return round(abs(float(np.linalg.det(self.unit_cell))))

    def supercell(self, matrix: ArrayLike) -> Supercell:
        """The cell spanned by multiples of the given unit cell's vectors.

        Args:
            matrix: three whole numbers, or three rows of whole numbers.

        Raises:
            InvalidInput: the vectors span no volume, or are not whole numbers of cells.
        """
        multiples = np.rint(np.asarray(matrix, dtype=np.float64)).astype(np.int64)
        if multiples.shape not in ((3,), (3, 3)) or not np.array_equal(multiples, matrix):
            raise InvalidInput(
                f"supercell {matrix!r}; needed: three whole numbers, or three rows of three"
            )
        rows = (np.diag(multiples) if multiples.ndim == 1 else multiples) @ self.unit_cell
        if round(np.linalg.det(rows)) == 0:
            raise InvalidInput(
                f"supercell {multiples.tolist()} has no volume; give three independent vectors"
            )
        return Supercell(self, rows)

    def distinct_supercells(self, n_cells: int) -> list[Supercell]:
        """One supercell of each shape, of that many primitive cells, that symmetry tells apart.

        Their vectors are chosen as short as possible.
        """
        supercells = []
        for form in distinct_forms(n_cells, self.rotations):
            short = Lattice(form @ self.lattice).get_lll_reduced_lattice().matrix
            rows = np.rint(short @ np.linalg.inv(self.lattice)).astype(np.int64)
            supercells.append(Supercell(self, rows))
        return supercells


@dataclass(frozen=True)
class Supercell:
    """A cell of the parent.

    Args:
        parent: whose sites it holds.
        rows: shape (3, 3), its vectors in primitive lattice vectors.
    """

    parent: Parent
    rows: NDArray[np.int64]

    @cached_property
    def form(self) -> NDArray[np.int64]:
        """Hermite normal form of the rows, shape (3, 3)."""
        form: NDArray[np.int64] = normal_form(self.rows[None])[0]
        return form

    @property
    def n_cells(self) -> int:
        """Primitive cells."""
        return int(np.diag(self.form).prod())

    @cached_property
    def lattice(self) -> Lattice:
        """The vectors in Å."""
        return Lattice(self.rows @ self.parent.lattice)

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """Shape (n_cells, 3): lattice vectors of the primitive cells, in the order of `index`."""
        return np.argwhere(np.ones(np.diag(self.form))).astype(np.int64)

    @cached_property
    def unit_site(self) -> NDArray[np.int64]:
        """Shape (n_sites,): a site of the given unit cell that each site is a copy of."""
        return np.repeat(self.parent.unit_site, self.n_cells)

    @cached_property
    def frac_coords(self) -> NDArray[np.float64]:
        """Shape (n_sites, 3), within the cell."""
        where = (self.parent.frac_coords[:, None] + self.cells).reshape(-1, 3)
        coords = where @ np.linalg.inv(self.rows)
        return np.where(np.abs(coords - np.rint(coords)) < 1e-12, 0.0, coords % 1.0)

    def index(self, vectors: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the primitive cell, within this one, that each lattice vector leads to.

        Args:
            vectors: shape (..., 3).
        """
        reduced = vectors.copy()
        for i in range(3):
            reduced -= (reduced[..., i] // self.form[i, i])[..., None] * self.form[i]
        _, n_b, n_c = np.diag(self.form)
        index: NDArray[np.int64] = (reduced[..., 0] * n_b + reduced[..., 1]) * n_c + reduced[..., 2]
        return index

    @cached_property
    def operations(self) -> NDArray[np.int64]:
        """Those operations of the parent that leave this cell's lattice as it is."""
        images = np.einsum("ij,gkj->gik", self.rows, self.parent.rotations)
        fractions = images @ np.linalg.inv(self.rows)
        return np.flatnonzero(np.abs(fractions - np.rint(fractions)).max(axis=(1, 2)) < 1e-6)

    def permutations(self, sites: Sequence[int] | NDArray[np.intp]) -> NDArray[np.int32]:
        """How the parent's space group acts on some of the sites of this cell.

        Args:
            sites: whole orbits.

        Returns:
            Shape (n_permutations, n_sites): the distinct permutations; site i goes to row[i], both
            numbered by their place in `sites`.

        Raises:
            InvalidInput: there are too many to keep in memory.
        """
        n_numbers = len(self.operations) * self.n_cells * len(sites)
        if n_numbers > MAX_PERMUTATION_NUMBERS:
            raise InvalidInput(
                f"{len(sites):,} sites to be ordered under {len(self.operations) * self.n_cells:,} "
                "symmetry operations are too many to keep in memory; choose a smaller supercell"
            )
        images = self._images(sites, self.operations)
        # Every permutation is there as often as the identity is.
        n_alike = int((images == np.arange(images.shape[1])).all(axis=1).sum())
        if n_alike == 1:
            return images
        distinct: NDArray[np.int32] = np.unique(images, axis=0)
        return distinct

    def translations(self, sites: Sequence[int] | NDArray[np.intp]) -> NDArray[np.int32]:
        """The same for the translations of the parent alone; the first is the identity."""
        identity = np.all(self.parent.rotations == np.eye(3, dtype=np.int64), axis=(1, 2))
        return self._images(sites, np.flatnonzero(identity))

    def _images(self, sites: Any, operations: NDArray[np.int64]) -> NDArray[np.int32]:
        """Permutations, an operation followed by each translation; shape (n, n_sites)."""
        chosen = np.asarray(sites, dtype=np.int64)
        site, cell = np.divmod(chosen, self.n_cells)
        place = np.full(len(self.unit_site), -1, dtype=np.int32)
        place[chosen] = np.arange(len(chosen))
        rotated = np.einsum("sj,gkj->gsk", self.cells[cell], self.parent.rotations[operations])
        reached = self.index(rotated + self.parent.shifts[operations][:, site])
        sums = self.index(self.cells[:, None] + self.cells).astype(np.int32)
        first = (self.parent.images[operations][:, site] * self.n_cells).astype(np.int32)
        images: NDArray[np.int32] = place[first[:, None] + sums[:, reached].swapaxes(0, 1)]
        if images.size and images.min() < 0:
            raise UnusableStructure(
                f"symmetry carries some of the {len(chosen)} sites to be ordered to others; give "
                "whole orbits, or symmetrise the structure"
            )
        return images.reshape(-1, len(chosen))


def _primitive_vectors(
    translations: NDArray[np.float64], structure: Structure
) -> NDArray[np.int64]:
    """Vectors of the given cell (rows) in those of the primitive one.

    Args:
        translations: shape (n, 3), all pure translations in the given cell, 0 among them.
        structure: for the message.
    """
    n = len(translations)
    rows = np.concatenate([np.rint(translations * n), n * np.eye(3)]).astype(np.int64)
    primitive = normal_form(rows[None])[0]
    if np.diag(primitive).prod() != n * n:
        raise _only_roughly(structure)
    vectors: NDArray[np.int64] = np.rint(np.linalg.inv(primitive / n)).astype(np.int64)
    return vectors


def _one_of_each(
    lattice: NDArray[np.float64], coords: NDArray[np.float64], kinds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The first of all sites that are the same but for a lattice vector."""
    left = np.arange(len(coords))
    first = []
    while left.size:
        first.append(left[0])
        offsets = coords[left] - coords[left[0]]
        far = np.linalg.norm((offsets - np.rint(offsets)) @ lattice, axis=1) > _MATCH_A
        left = left[far | (kinds[left] != kinds[left[0]])]
    return np.array(first)


def _too_close(structure: Structure) -> UnusableStructure | None:
    """Atoms on top of each other, if that is why sites cannot be told apart."""
    distances_A = structure.distance_matrix + np.diag([np.inf] * len(structure))
    i, j = np.unravel_index(distances_A.argmin(), distances_A.shape)
    if distances_A[i, j] > 2 * _MATCH_A:
        return None
    return UnusableStructure(
        f"{structure[int(i)].species_string} (site {i + 1}) and "
        f"{structure[int(j)].species_string} (site {j + 1}) of {structure.formula} are "
        f"{distances_A[i, j]:.3f} Å apart; remove one of them, or make them one site that both "
        "occupy in part"
    )


def _only_roughly(structure: Structure) -> UnusableStructure:
    return UnusableStructure(
        f"{structure.formula} repeats itself within its cell, but only roughly; symmetrise it, or "
        "give its primitive cell"
    )


def _site_images(
    lattice: NDArray[np.float64],
    coords: NDArray[np.float64],
    kinds: NDArray[np.int64],
    operations: Operations,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each operation carries each site: the site of the cell, and the lattice vector to it.

    Raises:
        UnusableStructure: nowhere near enough, or two sites to one place.
    """
    images = np.empty((len(operations.rotations), len(coords)), dtype=np.int64)
    shifts = np.empty((*images.shape, 3), dtype=np.int64)
    far_A = np.where(kinds[:, None] == kinds, 0.0, np.inf)
    step = max(1, _CHUNK // len(coords) ** 2)
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        carried = np.einsum("gij,sj->gsi", operations.rotations[some], coords)
        carried += operations.translations[some, None]
        offsets = carried[:, :, None] - coords
        offsets_A = (offsets - np.rint(offsets)) @ lattice
        distances_A = np.sqrt(np.einsum("gijk,gijk->gij", offsets_A, offsets_A)) + far_A
        images[some] = distances_A.argmin(axis=2)
        farthest_A = float(distances_A.min(axis=2).max())
        one_to_one = (np.sort(images[some], axis=1) == np.arange(len(coords))).all()
        if farthest_A > _MATCH_A or not one_to_one:
            raise UnusableStructure(
                f"symmetry moves a site to {farthest_A:.2g} Å from the nearest one of its kind; "
                "symmetrise the structure"
            )
        shifts[some] = np.rint(carried - coords[images[some]])
    return images, shifts
