"""A scene holds every atom where it is, whole polyhedra, and nothing invented."""

from __future__ import annotations

import time

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from screening.prototypes.library import load_prototype
from workflows.dashboard.scene import MAX_ATOMS, colour_of, structure_scene
from workflows.vacant_sites import VacantSite, VacantSites

NONE = VacantSites()


def rock_salt(edge_A=6.3):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge_A), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def own_structure(name):
    """The host with the sites that its source fills."""
    host = load_prototype(name).own_structure()
    filled = [site for site in host if site.properties["role"] not in ("vacant", "hydrogen")]
    return Structure(
        host.lattice, [s.specie.symbol for s in filled], [s.frac_coords for s in filled]
    )


def positions(scene, is_image):
    return np.array([atom.at for atom in scene.atoms if atom.is_image is is_image])


def test_every_corner_face_and_edge_of_the_cell_has_its_atom():
    scene = structure_scene(rock_salt(), NONE)
    assert len(scene.atoms) == 27
    assert sum(not atom.is_image for atom in scene.atoms) == 8
    expected = {(x, y, z) for x in (0, 3.15, 6.3) for y in (0, 3.15, 6.3) for z in (0, 3.15, 6.3)}
    assert {atom.at for atom in scene.atoms} == expected
    assert len(scene.bonds) == 54  # all edges of the 2 × 2 × 2 little cubes
    assert scene.polyhedra == ()  # alkali ions move; they hold nothing fast
    assert len(scene.cell_edges) == 12
    assert {entry.element: entry.number for entry in scene.legend} == {"K": 4, "Cl": 4}
    assert orjson.dumps(scene)


@pytest.mark.parametrize(
    ("name", "centre", "n_corners"),
    [("k2ptcl6", "Ta", 6), ("elpasolite", "Al", 6), ("naalcl4", "Al", 4)],
)
def test_polyhedra_are_whole_and_hold_their_cation(name, centre, n_corners):
    structure = own_structure(name)
    scene = structure_scene(structure, NONE)
    n_centres = sum(atom.element == centre for atom in scene.atoms)
    assert len(scene.polyhedra) == n_centres
    at = {atom.at for atom in scene.atoms}
    for solid in scene.polyhedra:
        assert (solid.element, len(solid.corners)) == (centre, n_corners)
        assert set(solid.corners) <= at
        n_faces, n_edges = len(solid.faces), len(solid.edges)
        assert n_corners - n_edges + n_faces == 2  # Euler: no face of these has four corners
        assert {i for face in solid.faces for i in face} == set(range(n_corners))


def test_triangles_of_one_face_have_no_edge_between_them():
    corners = [[x, y, z] for x in (0.3, 0.7) for y in (0.3, 0.7) for z in (0.3, 0.7)]
    cube = Structure(Lattice.cubic(7.0), ["Zr", *["Cl"] * 8], [[0.5] * 3, *corners])
    (solid,) = structure_scene(cube, NONE).polyhedra
    assert (len(solid.faces), len(solid.edges)) == (12, 12)


def test_a_flat_surrounding_is_no_solid():
    corners = [[0.5 + x, 0.5 + y, 0.5] for x, y in ((0.3, 0), (-0.3, 0), (0, 0.3), (0, -0.3))]
    flat = Structure(Lattice.cubic(8.0), ["Pt", *["Cl"] * 4], [[0.5] * 3, *corners])
    scene = structure_scene(flat, NONE)
    assert scene.polyhedra == ()
    assert len(scene.bonds) == 4


def test_hydrogen_is_bonded_to_what_it_belongs_to():
    ions = Structure(
        Lattice.cubic(6.0), ["Li", "O", "H"], [[0.1, 0.1, 0.1], [0.5, 0.5, 0.5], [0.66, 0.5, 0.5]]
    )
    scene = structure_scene(ions, NONE)
    assert [{scene.atoms[i].element for i in bond} for bond in scene.bonds] == [{"O", "H"}]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=1, max_size=6),
    st.tuples(*[st.floats(4, 9)] * 3),
)
def test_all_atoms_are_those_of_the_crystal(places, edges_A):
    lattice = Lattice(np.diag(edges_A) + np.array([[0, 0, 0], [1.0, 0, 0], [0.5, -0.7, 0]]))
    structure = Structure(lattice, ["Y", *["Cl"] * (len(places) - 1)], places)
    scene = structure_scene(structure, NONE)
    own = positions(scene, is_image=False)
    assert len(own) == len(structure)
    for drawn in (own, positions(scene, is_image=True)):
        if len(drawn):
            fractional = lattice.get_fractional_coords(drawn)
            nearest_A = lattice.get_all_distances(fractional, structure.frac_coords).min(axis=1)
            assert nearest_A.max() < 0.01
    inside = lattice.get_fractional_coords(own)
    assert inside.min() > -1e-3
    assert inside.max() < 1 + 1e-3
    for one, other in scene.bonds:
        assert np.linalg.norm(np.subtract(scene.atoms[one].at, scene.atoms[other].at)) < 4.5


def test_vacancies_and_what_is_unknown_of_them_are_told():
    marked = VacantSites((VacantSite((0.0, 0.5, 0.5), ("K", "Na")),), "Vacancies are a guess.")
    scene = structure_scene(rock_salt(), marked)
    assert [vacancy.at for vacancy in scene.vacancies] == [(0, 3.15, 3.15), (6.3, 3.15, 3.15)]
    assert scene.vacancies[0].label.startswith("vacancy of K or Na at (0.000, 0.500")
    assert scene.note == "Vacancies are a guess."
    assert "1 vacant site" in scene.summary


def test_two_hundred_atoms_take_less_than_a_second():
    structure = own_structure("k2ptcl6") * (2, 2, 2)
    assert len(structure) == 288
    structure_scene(rock_salt(), NONE)  # reads the colours
    began = time.process_time()
    structure_scene(structure, NONE)
    assert time.process_time() - began < 0.5


def test_of_very_many_atoms_the_cell_alone_is_drawn():
    scene = structure_scene(rock_salt() * (8, 8, 8), NONE)
    assert len(scene.atoms) == 4096 > MAX_ATOMS
    assert "Too many atoms" in scene.note


def test_elements_have_colours():
    assert colour_of("Cl") != colour_of("Ta") != colour_of("K")
    assert colour_of("X") == "#808080"
