"""Snapshots of the Materials Project: the real client against a server that speaks its protocol."""

import copy
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from materials_project_server import KEY, VERSION, MaterialsProject, entry_of, serving, shipped
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from screening.candidate_settings import CandidateSettings
from screening.errors import (
    InvalidInput,
    MissingCorrection,
    MissingReference,
    MixedConventions,
    Unavailable,
)
from screening.stability.conventions import VASP
from screening.stability.references import ReferencePhases
from screening.survey import survey_candidates
from workflows.chemical_systems import chemical_systems, largest, system_of
from workflows.materials_project import fetch_systems, snapshot_of
from workflows.materials_project_client import KEY_VARIABLES, api_key

CL_K_TA = ("Cl", "K", "Ta")
OFFLINE = "To go on offline: the shipped snapshot chgnet-0.3.0 needs no network"


@pytest.fixture
def project(monkeypatch):
    """A server with Cl-K-Ta, found through the environment as the real one would not be."""
    project = MaterialsProject(*CL_K_TA)
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    with serving(project) as address:
        monkeypatch.setenv("MP_API_ENDPOINT", address)
        yield project


def fetch(folder, *systems, refresh=False):
    return list(fetch_systems(systems or [CL_K_TA], folder, refresh=refresh))


def test_what_is_fetched_is_what_was_served(project, tmp_path):
    (system,) = fetch(tmp_path)
    assert system.path == tmp_path / "Cl-K-Ta.json"
    assert system.is_new
    assert not system.left_out
    assert ReferencePhases.load(system.path).sha256 == system.snapshot.sha256
    assert system.snapshot.convention == VASP
    assert system.snapshot.source.startswith(f"Materials Project, database version {VERSION},")
    served = {document["entries"]["GGA"]["entry_id"] for document in project.documents}
    assert {phase.entry_id for phase in system.snapshot.phases} == served
    fetched = sorted((p.formula, p.energy_eV_per_atom) for p in system.snapshot.phases)
    expected = sorted((p.formula, p.energy_eV_per_atom) for p in shipped(*CL_K_TA))
    assert [formula for formula, _ in fetched] == [formula for formula, _ in expected]
    assert [e for _, e in fetched] == pytest.approx([e for _, e in expected], abs=1e-5)
    for phase in system.snapshot.phases:
        n_chlorine = 0 if len(phase.elements) == 1 else phase.composition["Cl"]
        correction = -0.614 * n_chlorine / phase.composition.num_atoms  # eV a chloride, MP2020
        assert phase.correction_eV_per_atom == pytest.approx(correction, abs=1e-5)


def test_only_gga_and_gga_u_are_asked_for(project, tmp_path):
    mixed = copy.deepcopy(project.document("KCl"))
    mixed["thermo_type"] = "GGA_GGA+U_R2SCAN"
    mixed["entries"]["GGA"]["entry_id"] = "mp-7777-GGA"
    project.documents.append(mixed)
    (system,) = fetch(tmp_path)
    (asked,) = project.asked("materials/thermo")
    assert asked["thermo_types"] == "GGA_GGA+U"
    assert len(asked["chemsys"].split(",")) == 7  # subsystems of three elements
    assert "mp-7777-GGA" not in {phase.entry_id for phase in system.snapshot.phases}


@pytest.mark.slow
def test_a_system_of_several_pages_is_fetched_whole(project, tmp_path):
    project.copies(1003)
    (system,) = fetch(tmp_path)
    assert len({phase.entry_id for phase in system.snapshot.phases}) == 1003
    assert [page.get("_skip") for page in project.asked("materials/thermo")] == [None, "1000"]


def test_nothing_is_written_beside_the_snapshot(project, tmp_path, monkeypatch, capfd):
    home, folder = tmp_path / "home", tmp_path / "references"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    fetch(folder)
    assert list(home.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["Cl-K-Ta.json"]
    assert KEY not in (folder / "Cl-K-Ta.json").read_text(encoding="utf-8")
    assert capfd.readouterr() == ("", "")  # no progress bars


def test_a_second_fetch_asks_for_nothing_and_needs_no_key(project, tmp_path, monkeypatch):
    (first,) = fetch(tmp_path)
    n_requests = len(project.requests)
    monkeypatch.delenv("MP_API_KEY")
    (second,) = fetch(tmp_path)
    assert len(project.requests) == n_requests
    assert not second.is_new
    assert second.snapshot.sha256 == first.snapshot.sha256


def test_refresh_asks_only_for_the_version_unless_it_is_a_new_one(project, tmp_path):
    fetch(tmp_path)
    (same,) = fetch(tmp_path, refresh=True)
    assert not same.is_new
    assert len(project.asked("materials/thermo")) == 1
    project.version = "2026.11.01"
    project.documents.remove(project.document("KTaCl6"))
    (old,) = fetch(tmp_path)
    assert "KTaCl6" in {phase.formula for phase in old.snapshot.phases}
    (new,) = fetch(tmp_path, refresh=True)
    assert new.is_new
    assert "database version 2026.11.01," in new.snapshot.source
    assert "KTaCl6" not in {phase.formula for phase in new.snapshot.phases}


def test_versions_are_not_mixed_in_a_folder(project, tmp_path):
    fetch(tmp_path, ("Cl", "K"))
    project.version = "2026.11.01"
    with pytest.raises(InvalidInput, match=rf"database version {VERSION}.* at 2026\.11\.01.*--ref"):
        fetch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Cl-K.json"]
    fetched = {system.name for system in fetch(tmp_path, refresh=True)}
    assert fetched == {"Cl-K", "Cl-K-Ta"}
    merged = ReferencePhases.load(tmp_path)
    assert len(merged.phases) == len(shipped(*CL_K_TA))


def test_finished_systems_stay_when_a_later_one_fails(project, tmp_path):
    systems = [("Cl", "K"), ("Cl", "Ta")]
    fetch(tmp_path, systems[0])
    project.status["materials/thermo"] = 500
    with pytest.raises(Unavailable, match=r"has a fault \(HTTP 500\); systems that are finished"):
        fetch(tmp_path, *systems)
    assert [path.name for path in tmp_path.iterdir()] == ["Cl-K.json"]
    project.status.clear()
    assert [(s.name, s.is_new) for s in fetch(tmp_path, *systems)] == [
        ("Cl-K", False),
        ("Cl-Ta", True),
    ]


def test_a_system_without_entries_does_not_stop_the_others(project, tmp_path):
    with pytest.raises(MissingReference, match=rf"Br-Rb: .*{VERSION}\) has no GGA_GGA\+U entries"):
        fetch(tmp_path, ("Br", "Rb"), ("Cl", "K"))
    assert [path.name for path in tmp_path.iterdir()] == ["Cl-K.json"]


def test_a_system_without_one_of_its_elements_is_refused(project, tmp_path):
    with pytest.raises(MissingReference, match="no elemental reference phase of Rb"):
        fetch(tmp_path, ("Cl", "K", "Rb"))
    assert list(tmp_path.iterdir()) == []


def test_another_functional_is_refused_with_its_id(project, tmp_path):
    entry = project.entry("TaCl5")
    entry["parameters"]["run_type"] = entry["data"]["run_type"] = "r2SCAN"
    project.ignores_thermo_type = True
    with pytest.raises(MixedConventions, match=rf"not GGA or GGA\+U: {entry['entry_id']} \(r2SC"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_halide_that_lost_its_correction_is_refused_with_its_id(project, tmp_path):
    entry = project.entry("KCl")
    entry["energy_adjustments"], entry["correction"] = [], 0.0
    with pytest.raises(MissingCorrection, match=rf"KCl {entry['entry_id']} holds 0\.000 eV/atom"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_hubbard_u_without_the_mixing_correction_is_refused(project, tmp_path):
    entry = project.entry("TaCl5")
    entry["parameters"]["run_type"] = entry["data"]["run_type"] = "GGA+U"
    with pytest.raises(MissingCorrection, match=rf"Hubbard U but without.*{entry['entry_id']}"):
        fetch(tmp_path)


def oxychloride(states):
    """LaOCl (PbFCl type): the elements plus the measured -1019 kJ/mol, as an estimate."""
    structure = Structure.from_spacegroup(
        "P4/nmm",
        Lattice.tetragonal(4.119, 6.883),
        ["La", "O", "Cl"],
        [(0, 0.5, 0.178), (0, 0, 0), (0, 0.5, 0.635)],
    )
    elements_eV = {p.formula: p.energy_eV_per_atom for p in shipped("La", "Cl")}
    total_eV = elements_eV["La"] + elements_eV["Cl2"] + OXYGEN_EV - 1019 / 96.485
    return entry_of(structure, total_eV / 3, 42, oxide_type="oxide", oxidation_states=states)


OXYGEN_EV = -4.95  # an atom of O2 in PBE, about


def la_o_cl(states):
    oxygen = Structure(Lattice.cubic(8), ["O", "O"], [(0, 0, 0), (0.154, 0, 0)])
    known = [
        entry_of(phase.structure, phase.energy_eV_per_atom, 100 + i)
        for i, phase in enumerate(shipped("La", "Cl"))
    ]
    return [*known, entry_of(oxygen, OXYGEN_EV, 41), oxychloride(states)]


def test_a_compound_of_several_anions_without_its_correction_is_left_out_by_name():
    # without oxidation states upstream corrects only the most electronegative element, oxygen
    snapshot, left_out = snapshot_of(la_o_cl({}), ("Cl", "La", "O"), VERSION)
    assert left_out == ("LaClO mp-42-GGA: no correction of Cl",)
    assert "LaClO" not in {phase.formula for phase in snapshot.phases}
    assert "left out: LaClO mp-42-GGA" in snapshot.source


def test_a_compound_of_several_anions_with_its_corrections_is_kept():
    states = {"La": 3.0, "O": -2.0, "Cl": -1.0}
    snapshot, left_out = snapshot_of(la_o_cl(states), ("Cl", "La", "O"), VERSION)
    assert left_out == ()
    (phase,) = (phase for phase in snapshot.phases if phase.formula == "LaClO")
    assert phase.correction_eV_per_atom == pytest.approx((-0.614 - 0.687) / 3, abs=1e-5)


def test_an_entry_without_energy_is_refused():
    entries = la_o_cl({})
    entries[0] = ComputedStructureEntry(
        entries[0].structure,
        float("nan"),
        parameters=entries[0].parameters,
        entry_id="mp-100-GGA",
    )
    with pytest.raises(InvalidInput, match=r"mp-100-GGA .* has no energy"):
        snapshot_of(entries, ("Cl", "La", "O"), VERSION)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_without_showing_it(status, project, tmp_path):
    project.status["materials/thermo"] = status
    with pytest.raises(Unavailable, match=rf"refused the key \(HTTP {status}\)") as caught:
        fetch(tmp_path)
    assert OFFLINE in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_wrong_key_is_refused_by_the_server(project, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", KEY[::-1])
    with pytest.raises(Unavailable, match="refused the key"):
        fetch(tmp_path)


def test_a_heartbeat_that_is_blocked_leaves_the_version_unknown(project, tmp_path):
    project.status["heartbeat"] = 403
    (system,) = fetch(tmp_path)
    assert "database version unknown," in system.snapshot.source


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Please log in</html>", "not as the Materials Project does: is there a login page"),
        (b'{"status": "OK"}', "not as the Materials Project does"),
    ],
)
def test_somebody_else_who_answers_is_not_believed(body, message, project, tmp_path):
    project.status["heartbeat"], project.body = 200, body
    with pytest.raises(Unavailable, match=message) as caught:
        fetch(tmp_path)
    assert OFFLINE in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>", "cannot be read"),
        (200, b'{"data": [{"entries": {"GGA": {}}}], "meta": {"total_doc": 1}}', "cannot be read"),
        (400, b'{"detail": "no"}', "gave no usable answer"),
        (429, b"{}", r"asks for patience \(HTTP 429\)"),
    ],
)
def test_an_answer_that_is_of_no_use(status, body, message, project, tmp_path):
    project.status["materials/thermo"], project.body = status, body
    with pytest.raises(Unavailable, match=message) as caught:
        fetch(tmp_path)
    assert OFFLINE in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(project, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MP_API_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match=r"cannot be reached at .*: Connection refused") as caught:
        fetch(tmp_path)
    assert OFFLINE in str(caught.value)


def test_a_server_that_says_nothing_is_not_waited_for(project, tmp_path, monkeypatch):
    monkeypatch.setattr("workflows.materials_project_client._READ_S", 0.2)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("MP_API_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(Unavailable, match="no answer within 5 s"):
            fetch(tmp_path)


def test_an_address_that_is_none(project, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_ENDPOINT", "materials")
    with pytest.raises(Unavailable, match="cannot be reached at materials/: Invalid URL"):
        fetch(tmp_path)


def test_a_file_from_elsewhere_is_not_overwritten(project, tmp_path):
    path = tmp_path / "Cl-K-Ta.json"
    own = ReferencePhases.load("chgnet-0.3.0").dump()
    path.write_text(own, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"is there already, and is not from the Materials Pr"):
        fetch(tmp_path, refresh=True)
    assert path.read_text(encoding="utf-8") == own


def test_a_damaged_file_is_named_and_refresh_mends_it(project, tmp_path):
    path = tmp_path / "Cl-K-Ta.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"Cl-K-Ta\.json is not a snapshot"):
        fetch(tmp_path)
    (system,) = fetch(tmp_path, refresh=True)
    assert system.is_new


def test_the_key_is_taken_from_either_variable(monkeypatch):
    for variable in KEY_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InvalidInput, match="neither MP_API_KEY nor PMG_MAPI_KEY is set") as caught:
        api_key()
    assert OFFLINE in str(caught.value)
    monkeypatch.setenv("PMG_MAPI_KEY", KEY)
    assert api_key() == KEY


@pytest.mark.parametrize("key", ["short", KEY + "0", KEY[:-2] + "\u00e9\u00e9", KEY[:-1] + "-"])
def test_what_cannot_be_a_key_is_not_sent_or_shown(key, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(InvalidInput, match=f"MP_API_KEY holds {len(key)} characters") as caught:
        api_key()
    assert key not in str(caught.value)


def survey(**elements):
    family = {"formula": "A2BX6", "prototype": "k2ptcl6", "elements": elements}
    return survey_candidates(CandidateSettings.model_validate({"families": [family]}))


def test_systems_are_those_of_the_candidates():
    found = survey(A=["K"], B=["Zr", "Hf"], X=["Cl", "Br"])
    assert chemical_systems(found) == [
        ("Br", "Hf", "K"),
        ("Br", "K", "Zr"),
        ("Cl", "Hf", "K"),
        ("Cl", "K", "Zr"),
    ]


def test_electrodes_add_their_elements_to_every_candidate():
    found = survey(A=["Na"], B=["Zr"], X=["Cl"])
    systems = chemical_systems(found, ["NaCrO2", "Na", "Na0.85Mn0.5Ni0.4Fe0.1O2"])
    assert systems == [
        ("Cl", "Cr", "Na", "O", "Zr"),
        ("Cl", "Fe", "Mn", "Na", "Ni", "O", "Zr"),
    ]


def test_more_than_nine_elements_are_named_with_their_electrode():
    found = survey(A=["K"], B=["Zr"], X=["Cl"])
    with pytest.raises(
        InvalidInput, match=r"K2ZrCl6 with the electrode NaMnNiFeTiCoAlO2 has 11 elements.*most 9"
    ):
        chemical_systems(found, ["NaMnNiFeTiCoAlO2"])


def test_an_electrode_that_is_no_formula():
    with pytest.raises(InvalidInput, match="'sodium' is no formula"):
        chemical_systems(survey(A=["K"], B=["Zr"], X=["Cl"]), ["sodium"])


ELEMENTS = st.sampled_from(["Li", "Na", "K", "Ta", "Cl", "Br"])
SYSTEMS = st.lists(st.sets(ELEMENTS, min_size=1).map(lambda s: tuple(sorted(s))), max_size=12)


@given(SYSTEMS)
def test_the_largest_systems_hold_all_and_none_holds_another(systems):
    found = largest(systems)
    assert set(found) <= set(systems)
    for system in systems:
        assert any(set(system) <= set(other) for other in found)
    for one in found:
        assert not any(set(one) <= set(other) for other in found if other is not one)


@given(st.permutations(["K", "Ta", "Cl", "O"]))
def test_the_order_of_elements_does_not_matter(symbols):
    assert system_of(symbols) == ("Cl", "K", "O", "Ta")


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (["K", "Xx"], "found 'Xx'; needed: symbols of elements"),
        ([""], "found ''; needed"),
        (["Li", "Na", "K", "Rb", "Cs", "F", "Cl", "Br", "I", "O"], "10 elements .* at most 9"),
    ],
)
def test_what_is_no_system(symbols, message):
    with pytest.raises(InvalidInput, match=message):
        system_of(symbols)


def test_formulas_of_phases_are_those_of_their_structures(project, tmp_path):
    (system,) = fetch(tmp_path)
    for phase in system.snapshot.phases:
        assert Composition(phase.formula).reduced_formula == phase.formula
        assert phase.name == f"{phase.formula} {phase.entry_id}"
