from pymatgen.core.composition import Composition

from screening.stability.overview import missing_competitors, missing_phases
from screening.stability.references import ReferencePhases


def test_a_candidate_is_no_missing_competitor_of_its_own():
    references = ReferencePhases.load("chgnet-0.3.0")
    candidate = Composition("LiNbOCl4")
    without = tuple(p for p in references.phases if p.formula != candidate.reduced_formula)
    references = references.model_copy(update={"phases": without})
    known = missing_phases(references, ["Li", "Nb", "O", "Cl"])
    assert candidate.reduced_formula in known
    competitors = missing_competitors(references, candidate * 4)
    assert competitors == {f: s for f, s in known.items() if f != candidate.reduced_formula}
    assert competitors
