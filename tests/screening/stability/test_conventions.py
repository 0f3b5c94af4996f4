"""Energies of rehearsals, of DFT and of the potential itself never share a hull."""

import pytest
from pymatgen.core.composition import Composition

from screening.errors import MixedConventions
from screening.stability.assessment import assess_stability
from screening.stability.conventions import VASP, rehearsal_of
from screening.stability.references import ReferencePhases
from screening.stability.snapshots import REHEARSAL

EMBEDDED = ReferencePhases.load("chgnet-0.3.0")
REHEARSED = ReferencePhases.load(REHEARSAL)
KCL = Composition("KCl")


def energy_eV_per_atom(references):
    return next(p.energy_eV_per_atom for p in references.phases if p.name == "KCl")


def test_a_rehearsal_has_the_phases_of_the_potential_behind_it():
    assert REHEARSED.phases == EMBEDDED.phases
    assert REHEARSED.convention == rehearsal_of(EMBEDDED.convention)
    assert REHEARSED.sha256 != EMBEDDED.sha256
    assert REHEARSED.convention.is_corrected


def test_it_says_which_energies_it_is_about():
    assessed = assess_stability(
        KCL, energy_eV_per_atom(REHEARSED), REHEARSED.convention, REHEARSED, "K"
    )
    assert assessed.e_hull_eV_per_atom == pytest.approx(0, abs=1e-9)
    assert any("rehearsal" in caveat and "no DFT" in caveat for caveat in assessed.caveats)


@pytest.mark.parametrize(
    ("ours", "references", "named"),
    [
        (VASP, REHEARSED, ("'vasp'", "'rehearsal of vasp'")),
        (VASP, EMBEDDED, ("'vasp'", "'chgnet'")),
        (REHEARSED.convention, EMBEDDED, ("'rehearsal of vasp'", "'chgnet'")),
    ],
)
def test_two_conventions_in_one_hull_are_refused_and_both_named(ours, references, named):
    with pytest.raises(MixedConventions) as refused:
        assess_stability(KCL, energy_eV_per_atom(references), ours, references, "K")
    for name in named:
        assert name in str(refused.value)
