"""Every host prototype at rest in the embedded potential: its symmetry and volume stand."""

import itertools

import pytest
import spglib
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core.structure import Structure

from screening.prototypes.library import load_prototype, prototype_names
from workflows.config import RelaxSettings
from workflows.engines.chgnet import ChgnetEngine

SUPERCELLS = {"ucl3": (2, 2, 1)}  # the smallest that hold whole ions; else the primitive cell
# The cells of natacl6, ktacl6-c2c and li2ohcl-* are CHGNet's own: keeping their volume says that
# the models are at rest, not how well CHGNet gives a measured volume
# bounds other than 10 %, whether the space group stands, and why
EXCEPTIONS = {
    "limocl4": (
        25,
        False,
        "CHGNet knows no van der Waals forces and pushes the chains apart: by 22 %, and Li leaves "
        "the mirror plane",
    ),
}


@pytest.fixture(scope="module")
def engine():
    return ChgnetEngine("0.3.0")


def space_group(structure, symprec):
    kinds = [site.specie.Z for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, kinds)
    return spglib.get_symmetry_dataset(cell, symprec=symprec).international


def fillings(structure, orbit, contents):
    """Every way to lay whole ions on one orbit: (site, ion) pairs."""
    sites = [i for i, other in enumerate(structure.site_properties["orbit"]) if other == orbit]
    amounts = [(ion, share * len(sites)) for ion, share in contents.items()]
    assert all(amount.denominator == 1 for _, amount in amounts)
    ways = [((), tuple(sites))]
    for ion, amount in amounts:
        ways = [
            (laid + tuple((i, ion) for i in chosen), tuple(i for i in free if i not in chosen))
            for laid, free in ways
            for chosen in itertools.combinations(free, int(amount))
        ]
    return [laid for laid, _ in ways]


def ordered(name):
    """The source's own compound with whole ions: the filling of lowest electrostatic energy."""
    prototype = load_prototype(name)
    structure = prototype.own_structure().get_primitive_structure(use_site_props=True)
    structure = structure * SUPERCELLS.get(name, 1)
    candidates = []
    by_orbit = [
        fillings(structure, orbit, contents)
        for orbit, contents in enumerate(prototype.own_contents())
    ]
    for way in itertools.product(*by_orbit):
        laid = sorted(itertools.chain(*way))
        candidate = Structure(
            structure.lattice,
            [ion for _, ion in laid],
            [structure.frac_coords[i] for i, _ in laid],
        )
        candidates.append(candidate)
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda candidate: EwaldSummation(candidate).total_energy)


# ASE's FrechetCellFilter takes the logarithm of a strain that is all but zero; scipy warns
@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", prototype_names())
def test_relaxing_keeps_space_group_and_volume(name, engine):
    prototype = load_prototype(name)
    structure = ordered(name)
    if all(list(contents.values()) in ([], [1]) for contents in prototype.own_contents()):
        assert space_group(structure, 0.01) == prototype.space_group
    relaxation = engine.relax(structure, RelaxSettings(max_force_eV_per_A=0.03, max_steps=500))
    bound_percent, keeps_space_group, _ = EXCEPTIONS.get(name, (10, True, ""))
    print(f"{name}: {relaxation.volume_change_percent:+.1f} %, {relaxation.n_steps} steps")
    assert abs(relaxation.volume_change_percent) < bound_percent
    if keeps_space_group:
        assert space_group(relaxation.structure, 0.05) == space_group(structure, 0.01)
