"""The methods say what was run, and every source that they name is cited."""

from __future__ import annotations

from dataclasses import replace

from screening.documents import Origin
from screening.stability.conventions import VASP
from workflows.citations import citations
from workflows.config import EngineSettings
from workflows.ingredients import Dynamics, Vasp
from workflows.methods import in_order, methods, pieces


def text_of(used) -> dict[str, str]:
    return {p.heading: p.text for p in methods(used, citations(used))}


def test_they_hold_what_was_run(used):
    text = text_of(used)
    (convention,) = used.conventions
    assert "2 of 3 candidates were relaxed" in text["Energies and relaxation"]
    assert convention.weights_sha256 in text["Energies and relaxation"]
    assert "no force exceeded 0.1 eV/Å" in text["Energies and relaxation"]
    assert used.snapshot.sha256 in text["Stability"]
    assert "1 at 300 K over 0.2 ps and 1 at 600 K over 0.2 ps" in text["Molecular dynamics"]
    assert "D at" not in text["Molecular dynamics"]
    assert "E above hull ≤ 0.005 eV/atom" in text["Gates and ranking"]
    assert f"ase {used.versions['ase']}" in text["Software"]
    assert "CHGNet softens forces" in text["Diffusivity and conductivity"]


def test_what_was_not_got_to_is_said(used):
    nothing = replace(used, n_relaxed=0, n_on_hull=0, conventions=(), dynamics=Dynamics())
    text = text_of(nothing)
    assert text["Energies and relaxation"] == "No structure has been relaxed yet."
    assert text["Stability"] == "No candidate has been placed on the convex hull yet."
    assert text["Molecular dynamics"] == "No run of molecular dynamics has given a result yet."
    assert "Diffusivity and conductivity" not in text
    config = used.config.model_copy(update={"dynamics": None})
    without = text_of(replace(nothing, config=config))
    assert without["Molecular dynamics"] == "Molecular dynamics was not asked for."
    assert "the width of the window alone" in without["Gates and ranking"]


def test_vasp_and_what_was_changed_in_its_inputs(used):
    engine = EngineSettings(
        name="vasp", vasp={"relax": {"incar": {"EDIFFG": -0.02, "NCORE": None}}}
    )
    vasp = Vasp(("6.4.2",), {"PAW_PBE Cl": "0123456789abcdef"}, True, {"mended": 3})
    dft = replace(
        used,
        config=used.config.model_copy(update={"engine": engine}),
        conventions=(VASP,),
        vasp=vasp,
    )
    text = text_of(dft)["Energies and relaxation"]
    assert "VASP 6.4.2" in text
    assert "Hubbard U" in text
    assert "relaxations: EDIFFG = -0.02, NCORE = left out" in text
    assert "PAW_PBE Cl (sha256 0123456789ab)" in text
    assert "mended (3 runs)" in text
    assert "softens" not in text_of(dft)["Diffusivity and conductivity"]


def test_a_rehearsal_says_so_first(used):
    config = used.config.model_copy(update={"engine": EngineSettings(name="rehearsal")})
    text = text_of(replace(used, config=config))["Energies and relaxation"]
    assert text.startswith("This was a rehearsal")


def test_sources_are_known_and_numbered_as_they_are_named(used):
    sources = citations(used)
    paragraphs = methods(used, sources)
    ordered = in_order(paragraphs, sources)
    assert {s.key for s in ordered} == {s.key for s in sources}
    named = [key for p in paragraphs for _, keys in pieces(p.text) for key in keys]
    firsts = list(dict.fromkeys(named))
    assert [s.key for s in ordered][: len(firsts)] == firsts
    assert "".join(text for p in paragraphs for text, _ in pieces(p.text)).count("[@") == 0
    assert not any("  " in p.text or " ." in p.text or " ;" in p.text for p in paragraphs)


def test_a_prototype_is_named_with_its_source(used):
    family = {"formula": "KTaCl6", "prototype": "k2ptcl6"}
    candidates = type(used.config.candidates).model_validate({"families": [family]})
    origin = Origin(
        host="k2ptcl6",
        source="cubic KTaCl6, doi:10.1016/j.ensm.2024.103618",
        parent_formula="K2TaCl6",
        ordering=1,
        n_orderings=6,
        degeneracy=24,
        n_configurations=70,
    )
    config = used.config.model_copy(update={"candidates": candidates})
    text = text_of(replace(used, config=config, origins=(origin,)))["Candidates"]
    assert "the family KTaCl6 in the prototype k2ptcl6 [@kim2024]." in text
    assert "[@shannon1976]" in text
