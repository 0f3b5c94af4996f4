from __future__ import annotations

import io

import pytest
from rich.console import Console

from screening.ranked import RankedCandidate
from workflows.cli.comparisons import published_sections
from workflows.config import CampaignConfig
from workflows.published import compare_published

FILES = {"files": [{"path": "a.cif", "mobile_ion": "Na"}]}


def row(identifier, formula, reduction_V, oxidation_V, energy_eV_per_atom=-2.0, **fields):
    values = {
        "rank": 1,
        "id": identifier,
        "formula": formula,
        "mobile_ion": "Na",
        "state": "done",
        "stage": "gates",
        "engine": "chgnet",
        "host": "ucl3",
        "degeneracy": 1,
        "e_hull_eV_per_atom": 0.0,
        "formation_energy_eV_per_atom": energy_eV_per_atom,
        "reduction_limit_V": reduction_V,
        "oxidation_limit_V": oxidation_V,
        "window_of": "candidate",
        "reduction_products": ("NaCl", "Sm"),
        "oxidation_products": ("SmCl3", "Cl2"),
    }
    return RankedCandidate(**{**values, **fields})


def compared(rows, raw=False, **published):
    values = {"formula": "Na0.75Sm1.75Cl6", "source": "doi:10.1000/1", **published}
    config = CampaignConfig.model_validate(
        {
            "name": "a",
            "candidates": FILES,
            "published": [values],
            "stability": {"raw_halide_energies": raw},
        }
    )
    return compare_published(config, rows)


SAMARIUM = row("a", "Na3Sm7Cl24", 0.61, 4.14)
LIMITS = {"reduction_limit_V": 0.64, "oxidation_limit_V": 4.25}


@pytest.mark.parametrize(
    ("tolerance_V", "verdict"), [(None, "no verdict"), (0.12, "agrees"), (0.1, "differs")]
)
def test_a_limit_agrees_within_its_tolerance(tolerance_V, verdict):
    (found,) = compared([SAMARIUM], **LIMITS, oxidation_tolerance_V=tolerance_V)
    reduction, oxidation = found.limits
    assert (found.candidate, reduction.verdict) == ("a", "no verdict")
    assert oxidation.difference_V == pytest.approx(-0.11, abs=1e-9)
    assert oxidation.verdict == verdict


def test_the_candidate_of_lowest_energy_is_compared_unless_one_is_named():
    other = row("b", "Na3Sm7Cl24", 0.5, 4.0, energy_eV_per_atom=-1.9, host="another")
    assert [found.candidate for found in compared([other, SAMARIUM])] == ["a"]
    for named in ("b", "another"):
        assert compared([SAMARIUM, other], candidate=named)[0].candidate == "b"


def test_products_belong_to_the_verdict():
    tolerance = {**LIMITS, "oxidation_tolerance_V": 0.2}
    for products, verdict in ((["Cl", "SmCl3"], "agrees"), (["SmCl3"], "differs")):
        (found,) = compared([SAMARIUM], **tolerance, oxidation_products=products)
        assert found.limits[1].verdict == verdict


def test_raw_halide_energies_get_no_verdict():
    (found,) = compared([SAMARIUM], raw=True, **LIMITS, oxidation_tolerance_V=0.2)
    assert found.limits[1].verdict == "no verdict"


@pytest.mark.parametrize(
    "rows", [[], [row("a", "Na3Sm7Cl24", None, None, None, state="failed", rank=None)]]
)
def test_what_was_not_computed_is_said(rows):
    (found,) = compared(rows, **LIMITS, oxidation_tolerance_V=0.2)
    assert [limit.verdict for limit in found.limits] == ["not computed"] * 2


def test_reduction_limits_with_a_hidden_divalent_state_are_marked():
    (samarium,) = compared([SAMARIUM], **LIMITS)
    assert [limit.is_unreliable for limit in samarium.limits] == [True, False]
    lanthanum = row("a", "Na3La7Cl24", 0.4, 4.1)
    (found,) = compared([lanthanum], **LIMITS, formula="Na0.75La1.75Cl6")
    assert not any(limit.is_unreliable for limit in found.limits)


def test_the_table_reads_at_eighty_columns():
    found = compared([SAMARIUM], **LIMITS, oxidation_tolerance_V=0.2, note="a reason")
    console = Console(width=80, file=io.StringIO())
    for section in published_sections(found):
        console.print(section)
    text = console.file.getvalue()
    for part in (
        "0.64",
        "0.61",
        "-0.11 (±0.20)",
        "agrees",
        "unreliable",
        "a reason",
        "doi:10.1000/1",
    ):
        assert part in text
