"""The weights that the chgnet package ships: what they were fitted to, and what they refuse."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase.data import chemical_symbols
from pymatgen.core.composition import Composition
from typer.testing import CliRunner

from screening.errors import EngineFailure, InvalidInput, MixedConventions
from screening.potential.evaluation import Potential
from screening.potential.graph import Crystal
from screening.stability.assessment import assess_stability
from screening.stability.interfaces import interface
from screening.stability.reactants import Reactant
from screening.stability.references import ReferencePhases
from workflows.cli import app
from workflows.config import EngineSettings
from workflows.engines import engine_convention, unknown_elements
from workflows.engines.chgnet import weights_file

PBE, R2SCAN = EngineSettings(), EngineSettings(model="r2scan")
FAMILY = """\
name: mine
engine: {model: r2scan}
candidates:
  families:
    - {formula: Li3MCl6, prototype: li3ycl6-p3m1, elements: {M: [In, Yb3+]}}
"""


@pytest.mark.parametrize("settings", [PBE, R2SCAN])
def test_unknown_elements_are_those_that_the_weights_refuse(settings):
    """Known without loading the weights, and the same for every element as with them."""
    cell_A = 4 * np.eye(3)
    symbols = chemical_symbols[1:104]
    crystals = [Crystal(np.array([z]), np.zeros((1, 3)), cell_A) for z in range(1, 104)]
    answers = Potential(weights_file(settings.model), "cpu").evaluate(crystals)
    refused = [
        symbol
        for symbol, answer in zip(symbols, answers, strict=True)
        if isinstance(answer, EngineFailure)
    ]
    assert unknown_elements(settings, symbols) == refused
    assert ("Yb" in refused) == (settings is R2SCAN)


def test_energies_of_two_weights_in_one_hull_are_an_error_that_names_both():
    for ours, theirs in ((PBE, R2SCAN), (R2SCAN, PBE)):
        with pytest.raises(
            MixedConventions,
            match=rf"is of chgnet {re.escape(ours.model)}, the reference phases' of chgnet "
            rf"{re.escape(theirs.model)}.*functional: .*r2SCAN",
        ):
            assess_stability(
                Composition("KCl"),
                -3.0,
                engine_convention(ours),
                ReferencePhases.load(theirs.references),
                "K",
            )


def test_raw_halide_energies_of_uncorrected_ones_are_refused():
    references = ReferencePhases.load(R2SCAN.references)
    convention = engine_convention(R2SCAN)
    salt = Reactant("NaCl", Composition("NaCl"), -3.0, convention)
    metal = Reactant("Na", Composition("Na"), -1.0, convention)
    with pytest.raises(InvalidInput, match="hold no corrections that could be taken out"):
        assess_stability(
            salt.composition, -3.0, convention, references, "Na", raw_halide_energies=True
        )
    with pytest.raises(InvalidInput, match="hold no corrections that could be taken out"):
        interface(salt, metal, references, "Na", raw_halide_energies=True)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (("references", "build", "--model", "0.4.0"), "needed: one of 0.3.0, r2scan"),
        (("window", "x.cif", "--model", "r2SCAN"), "needed: one of 0.3.0, r2scan"),
        (("references", "build", "c.yaml", "--model", "0.3.0"), "names the weights r2scan"),
        (
            ("window", "x.cif", "--model", "r2scan", "--raw-halide-energies"),
            "hold no corrections",
        ),
        (
            ("window", "x.cif", "--model", "r2scan", "--references", "chgnet-0.3.0"),
            "halideflow references build --model r2scan",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_at_once(arguments, needed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(FAMILY)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert needed in result.stderr


def test_a_plan_says_which_compositions_the_weights_do_not_know(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(FAMILY)
    result = CliRunner().invoke(app, ["plan", str(path)])
    assert result.exit_code == 0
    assert "note: chgnet r2scan was never fitted to Yb: Li3YbCl6 will fail" in result.stderr
    document = json.loads(CliRunner().invoke(app, ["plan", str(path), "--json"]).stdout)
    assert document["beyond_engine"] == {"Yb": ["Li3YbCl6"]}
    path.write_text(FAMILY.replace("r2scan", "0.3.0"))
    assert "never fitted" not in CliRunner().invoke(app, ["plan", str(path)]).stderr


def test_unknown_names_of_weights_are_answered_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"no weights 'R2SCAN'; needed: one of 0\.3\.0, r2scan"):
        weights_file("R2SCAN")
