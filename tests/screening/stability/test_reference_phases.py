import json

import pytest
from invented_systems import snapshot
from numpy.testing import assert_allclose
from pydantic import ValidationError

from screening.errors import InvalidInput, MissingReference, MixedConventions
from screening.stability.references import ReferencePhases
from screening.stability.snapshots import REHEARSAL, locate_snapshot, shipped_snapshots
from screening.structures import check_structure

SHIPPED = [name for name in shipped_snapshots() if name != REHEARSAL]  # which has no file
# r2SCAN data count more of a heavy atom's electrons
LOWEST_EV_PER_ATOM = {"PBE/PBE+U": -20, "r2SCAN": -60}


@pytest.fixture(scope="module", params=SHIPPED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def shipped(name):
    return ReferencePhases.load(name)


def test_every_shipped_phase_says_where_it_came_from(shipped):
    for phase in shipped.phases:
        assert len(phase.source) > 20, phase.name


def test_shipped_structures_are_of_this_world(shipped):
    for phase in shipped.phases:
        check_structure(phase.structure, phase.structure[0].specie.symbol)
        volume_A3 = phase.structure.volume / len(phase.structure)
        # caesium has 110 Å³ by experiment, and 134 with r2scan
        assert 5 < volume_A3 < 140, f"{phase.name}: {volume_A3:.1f} Å³ per atom"
        assert LOWEST_EV_PER_ATOM[shipped.convention.functional] < phase.energy_eV_per_atom < 0


@pytest.mark.parametrize(
    "system", ["K-Ta-Cl", "Na-Ta-Cl", "Li-Ta-Cl", "Na-La-Cl", "Na-Sm-Cl", "Li-Y-Cl", "Na-P-S"]
)
def test_systems_promised_are_there(system):
    phases = ReferencePhases.load("chgnet-0.3.0").for_system(system.split("-"))
    assert {e.symbol for p in phases for e in p.composition} == set(system.split("-"))


def test_shipped_file_is_what_dump_writes(shipped, name):
    text = locate_snapshot(name).read_text(encoding="utf-8")
    assert shipped.dump() == text


def test_text_round_trip_keeps_everything(shipped):
    again = ReferencePhases.parse(shipped.dump().encode(), "again")
    assert again.sha256 == shipped.sha256
    assert again.dump() == shipped.dump()
    assert [p.energy_eV_per_atom for p in again.phases] == [
        p.energy_eV_per_atom for p in shipped.phases
    ]


def test_coordinates_lose_no_more_than_a_hundred_thousandth_of_an_angstrom(shipped):
    phase = shipped.phases[-1]
    shaken = phase.structure.copy().perturb(0.1, seed=0)
    disturbed = shipped.model_copy(
        update={"phases": (phase.model_copy(update={"structure": shaken}),)}
    )
    again = ReferencePhases.parse(disturbed.dump().encode(), "again").phases[0].structure
    assert_allclose(again.lattice.matrix, shaken.lattice.matrix, rtol=0, atol=1e-5)
    assert_allclose(again.cart_coords, shaken.cart_coords, rtol=0, atol=1e-5)


def test_hash_follows_the_content_and_not_the_date():
    energies_eV = {"KCl": -4.0}
    first = snapshot(energies_eV)
    assert first.model_copy(update={"date": "2025-02-02"}).sha256 == first.sha256
    assert snapshot({"KCl": -4.00002}).sha256 != first.sha256
    convention = first.convention.model_copy(update={"corrections": "others"})
    assert first.model_copy(update={"convention": convention}).sha256 != first.sha256


def test_a_path_is_read_as_a_name_is(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(snapshot({"KCl": -4.0}).dump(), encoding="utf-8")
    assert ReferencePhases.load(path).sha256 == snapshot({"KCl": -4.0}).sha256
    assert ReferencePhases.load(str(path)).phases[0].formula == "KCl"


def test_unknown_snapshot_names_the_shipped_ones(tmp_path):
    with pytest.raises(InvalidInput, match=r"'chgnet-9': neither a file.*are chgnet-0\.3\.0"):
        ReferencePhases.load("chgnet-9")
    with pytest.raises(InvalidInput, match=r"holds no snapshot.*references fetch"):
        ReferencePhases.load(tmp_path)


def corrupted(change):
    content = json.loads(snapshot({"KCl": -4.0}).dump())
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{ truncated", "Invalid JSON"),
        (corrupted(lambda c: c.pop("convention")), "convention: Field required"),
        (corrupted(lambda c: c.update(extra=1)), "extra: Extra inputs"),
        (corrupted(lambda c: c.update(phases=[])), "phases: Tuple should have at least 1"),
        (
            corrupted(lambda c: c["phases"][0].update(energy_eV_per_atom=None)),
            r"phases\.0\.energy_eV_per_atom",
        ),
        (
            corrupted(lambda c: c["phases"][0].update(formula="NaCl")),
            "formula NaCl, but the structure is KCl",
        ),
        (
            corrupted(lambda c: c["phases"][0]["structure"].pop("species")),
            r"phases\.0\.structure.*species",
        ),
        (
            corrupted(lambda c: c["phases"][0]["structure"]["species"].pop()),
            r"phases\.0\.structure",
        ),
        (
            corrupted(lambda c: c["phases"][1].update(c["phases"][0])),
            "phases listed twice: KCl",
        ),
    ],
)
def test_a_corrupt_file_says_what_is_wrong(tmp_path, text, complaint):
    path = tmp_path / "corrupt.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=f"corrupt.json is not a snapshot.*{complaint}"):
        ReferencePhases.load(path)


def test_for_system_keeps_polymorphs_and_leaves_out_other_elements():
    references = snapshot({"KCl": -4.0, "KCl'": -3.9, "NaCl": -4.1})
    assert [p.name for p in references.for_system({"K", "Cl"})] == ["KCl", "KCl'", "Cl", "K"]


def test_for_system_needs_every_element():
    references = snapshot({"KCl": -4.0})
    with pytest.raises(MissingReference, match=r"of Ta for the system Cl-K-Ta.*knows Cl, K;"):
        references.for_system(["K", "Ta", "Cl"])


def test_a_system_is_known_by_its_own_phases_alone():
    small = snapshot({"KCl": -4.0, "TaCl5": -9.0}, element_caveats={"Ta": "odd"})
    large = snapshot(
        {"ZrCl4": -8.0, "KCl": -4.0, "TaCl5": -9.0}, element_caveats={"Zr": "odd", "Ta": "odd"}
    )
    system = ("K", "Ta", "Cl")
    assert small.sha256 != large.sha256
    assert small.system(system).sha256 == large.system(reversed(system)).sha256
    assert large.system(system).element_caveats == {"Ta": "odd"}
    changed = snapshot({"KCl": -4.1, "TaCl5": -9.0}, element_caveats={"Ta": "odd"})
    assert changed.system(system).sha256 != small.system(system).sha256
    assert changed.system(("Ta", "Cl")).sha256 == small.system(("Ta", "Cl")).sha256


def test_a_system_needs_every_element():
    with pytest.raises(MissingReference, match="of Zr for the system Cl-K-Zr"):
        snapshot({"KCl": -4.0}).system(["K", "Zr", "Cl"])


def test_the_start_of_a_relaxation_changes_no_hash():
    references = snapshot({"KCl": -4.0})
    started = tuple(p.model_copy(update={"start_sha256": "0"}) for p in references.phases)
    assert references.model_copy(update={"phases": started}).sha256 == references.sha256
    marked = tuple(p.model_copy(update={"caveats": ("doubtful",)}) for p in references.phases)
    assert references.model_copy(update={"phases": marked}).sha256 != references.sha256


def test_a_snapshot_written_before_sources_were_kept_is_still_read():
    content = json.loads(snapshot({"KCl": -4.0}).dump())
    del content["source"]
    again = ReferencePhases.parse(json.dumps(content).encode(), "old")
    assert again.source == "unknown"
    assert again.sha256 == snapshot({"KCl": -4.0}).sha256


def test_corrections_and_entry_ids_are_kept():
    references = snapshot({"KCl": -4.0})
    phase = references.phases[0].model_copy(
        update={"correction_eV_per_atom": -0.307, "entry_id": "mp-23193"}
    )
    corrected = references.model_copy(update={"phases": (phase, *references.phases[1:])})
    again = ReferencePhases.parse(corrected.dump().encode(), "again")
    assert again.sha256 == corrected.sha256 != references.sha256
    assert again.phases[0].entry_id == "mp-23193"
    assert again.phases[0].correction_eV_per_atom == -0.307


def write(folder, **snapshots):
    folder.mkdir(exist_ok=True)
    for name, references in snapshots.items():
        (folder / f"{name}.json").write_text(references.dump(), encoding="utf-8")
    return folder


def test_a_folder_is_one_snapshot(tmp_path):
    folder = write(
        tmp_path / "systems",
        a=snapshot({"KCl": -4.0}, element_caveats={"K": "odd"}),
        b=snapshot({"NaCl": -4.1}, element_caveats={"Na": "odd"}),
    )
    (folder / "notes.txt").write_text("not a snapshot", encoding="utf-8")
    references = ReferencePhases.load(folder)
    assert [p.name for p in references.phases] == ["KCl", "Cl", "K", "NaCl", "Na"]
    assert references.element_caveats == {"K": "odd", "Na": "odd"}
    whole = snapshot({"NaCl": -4.1, "KCl": -4.0}, element_caveats={"K": "odd", "Na": "odd"})
    assert references.sha256 == whole.sha256


def test_a_changed_file_is_read_again(tmp_path):
    folder = write(tmp_path / "systems", a=snapshot({"KCl": -4.0}), b=snapshot({"NaCl": -4.1}))
    before = ReferencePhases.load(folder)
    assert ReferencePhases.load(folder) is before
    write(folder, b=snapshot({"NaCl": -4.1234}))
    assert ReferencePhases.load(folder).sha256 != before.sha256


def test_one_name_with_two_energies_names_both_files(tmp_path):
    folder = write(tmp_path / "systems", a=snapshot({"KCl": -4.0}), b=snapshot({"KCl": -4.2}))
    with pytest.raises(
        InvalidInput, match=r"KCl has -2\.00000 eV/atom in .*a\.json and -2\.10000 in .*b\.json"
    ):
        ReferencePhases.load(folder)


def test_two_conventions_are_not_merged(tmp_path):
    other = snapshot({"KCl": -4.0})
    convention = other.convention.model_copy(update={"corrections": "MP2020"})
    folder = write(
        tmp_path / "systems",
        a=snapshot({"NaCl": -4.0}),
        b=other.model_copy(update={"convention": convention}),
    )
    with pytest.raises(
        MixedConventions, match=r"a\.json and .*b\.json.*corrections: 'none' against 'MP2020'"
    ):
        ReferencePhases.load(folder)


def test_two_ways_to_relax_are_not_merged(tmp_path):
    folder = write(
        tmp_path / "systems",
        a=snapshot({"NaCl": -4.0}),
        b=snapshot({"KCl": -4.0}).model_copy(update={"relaxation": None}),
    )
    with pytest.raises(MixedConventions, match=r"a\.json.*b\.json were relaxed differently"):
        ReferencePhases.load(folder)


def test_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        snapshot({"KCl": -4.0}).date = "today"
