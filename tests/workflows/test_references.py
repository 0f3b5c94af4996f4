import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from screening.errors import EngineFailure, MixedConventions
from screening.prototypes.competing import competing_formulas, competing_sources
from screening.prototypes.phases import is_hypothetical, reference_phase_names, reference_structure
from screening.stability.references import ReferencePhases
from workflows.config import EngineSettings
from workflows.engines import engine_convention, unknown_elements
from workflows.reference_relaxations import (
    Compound,
    Journal,
    Relaxed,
    Start,
    relax,
    shipped_compounds,
)
from workflows.references import JOURNAL_SUFFIX, PROTOCOL, build, phase_of, write_snapshot

SHIPPED = ReferencePhases.load("chgnet-0.3.0")
SETTINGS = EngineSettings()
R2SCAN = EngineSettings(model="r2scan")
SMALL = sorted((len(p.structure), p.name) for p in SHIPPED.phases if len(p.structure) <= 8)


def spread(names, n):
    """So many of them, evenly spread."""
    return [names[i * len(names) // n] for i in range(n)]


@functools.cache
def compounds(*elements):
    """All shipped compounds of some elements, or all, by name."""
    return {compound.name: compound for compound in shipped_compounds(elements or None)}


def energy_again(name, settings=SETTINGS):
    """What a phase of the shipped snapshot comes to when it is relaxed now, in eV per atom."""
    phase = next(p for p in SHIPPED.phases if p.name == name)
    compound = compounds(*sorted(phase.elements))[name]
    done = {s.sha256: relax(s.structure, settings, PROTOCOL) for s in compound.starts}
    again = phase_of(compound, done, engine_convention(settings))
    return again and again.energy_eV_per_atom


def start(name, formula="NaCl", strain=1.0):
    structure = reference_structure(formula).remove_oxidation_states()
    structure.scale_lattice(strain * structure.volume)
    return Start(name, structure, f"source of {name}")


@pytest.mark.parametrize("settings", [SETTINGS, R2SCAN])
def test_a_snapshot_is_of_the_engine_that_campaigns_use(settings):
    shipped = ReferencePhases.load(settings.references)
    assert shipped.convention == engine_convention(settings)
    assert shipped.relaxation == PROTOCOL


@pytest.mark.parametrize("name", [name for _, name in spread(SMALL, 5)])
def test_a_sample_of_the_snapshot_is_what_the_engine_gives(name):
    energy_eV_per_atom = next(p for p in SHIPPED.phases if p.name == name).energy_eV_per_atom
    assert energy_again(name) == pytest.approx(energy_eV_per_atom, abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", spread(sorted(p.name for p in SHIPPED.phases), 40))
def test_a_larger_sample_of_the_snapshot_is_what_the_engine_gives(name):
    energy_eV_per_atom = next(p for p in SHIPPED.phases if p.name == name).energy_eV_per_atom
    assert energy_again(name) == pytest.approx(energy_eV_per_atom, abs=5e-4)


def test_compounds_are_all_reference_structures_once():
    starts = [s.name for compound in compounds().values() for s in compound.starts]
    models = [name for name in starts if " as " in name]
    assert sorted(set(starts) - set(models)) == sorted(reference_phase_names())
    assert len(models) == sum(len(competing_sources(f)) for f in competing_formulas())
    assert len(set(starts)) == len(starts)
    for name, compound in compounds().items():
        formulas = {s.structure.composition.reduced_formula for s in compound.starts}
        assert len(formulas) == 1, name
        if len(compound.starts) > 1:
            assert all(is_hypothetical(s.name) or s.name in models for s in compound.starts), name


def test_compounds_of_some_elements():
    found = {compound.name: compound.elements for compound in shipped_compounds(["K", "Ta", "Cl"])}
    assert {"K", "Ta", "Cl2", "KCl", "KTaCl6"} <= found.keys()
    assert all(elements <= {"K", "Ta", "Cl"} for elements in found.values())
    assert "NaCl" not in found


def test_a_start_is_known_by_its_structure_and_not_by_its_name():
    assert start("a").sha256 == start("b").sha256
    assert start("a").sha256 != start("a", strain=1.01).sha256
    pair = Compound("x", (start("a"), start("b", strain=1.01)))
    swapped = Compound("x", (start("b", strain=1.01), start("a")))
    assert pair.sha256 == swapped.sha256 != Compound("x", (start("a"),)).sha256


def test_the_lowest_of_competing_models_is_kept():
    low, high, failed = start("low"), start("high", strain=1.1), start("failed", strain=1.2)
    done = {
        high.sha256: Relaxed(high.structure, -3.0),
        low.sha256: Relaxed(low.structure, -3.05),
        failed.sha256: Relaxed(None, 0.0, "no force"),
    }
    phase = phase_of(Compound("NaCl", (high, low, failed)), done, SHIPPED.convention)
    assert phase.energy_eV_per_atom == -3.05
    assert phase.source == (
        "lowest of 2 prototypes: low; source of low; above it: high (+50 meV/atom)"
    )
    assert phase_of(Compound("NaCl", (failed,)), done, SHIPPED.convention) is None
    assert phase_of(Compound("NaCl", (low,)), done, SHIPPED.convention).source == "source of low"


def test_caveats_of_a_compound_come_from_what_it_is():
    molecular = compounds("Ta", "Cl")["TaCl5"].starts[0]
    done = {molecular.sha256: Relaxed(molecular.structure, -5.3)}
    (caveat,) = phase_of(Compound("TaCl5", (molecular,)), done, SHIPPED.convention).caveats
    assert "overshoots for molecular TaCl5" in caveat


def test_a_journal_keeps_what_was_written_whole(tmp_path):
    path = tmp_path / "x.journal"
    first, second, third = start("a"), start("b", strain=1.1), start("c", strain=1.2)
    journal = Journal(path, "how")
    assert journal.read() == {}
    journal.note(first, Relaxed(first.structure, -3.3))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"how": "cut o')
    journal.note(second, Relaxed(None, 0.0, "exploded"))
    Journal(path, "otherwise").note(third, Relaxed(third.structure, -1.0))
    found = Journal(path, "how").read()
    assert found.keys() == {first.sha256, second.sha256}
    assert found[first.sha256].energy_eV_per_atom == -3.3
    assert found[first.sha256].structure == first.structure
    assert found[second.sha256].failure == "exploded"
    journal.forget({first.sha256})
    assert journal.read().keys() == {second.sha256}
    journal.forget({second.sha256})
    assert path.exists()  # what another engine did is not ours to forget
    Journal(path, "otherwise").forget({third.sha256})
    assert not path.exists()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two phases, one of them from the journal of a build that was killed, and one that fails."""
    out = tmp_path_factory.mktemp("build") / "mine.json"
    impossible = Start("Na apart", reference_structure("Na").scale_lattice(1e5), "nowhere")
    journal = Journal(out.with_name(out.name + JOURNAL_SUFFIX), f"{SHIPPED.convention}{PROTOCOL}")
    (salt,) = compounds("Na", "Cl")["NaCl"].starts
    journal.note(salt, Relaxed(salt.structure, -3.5))
    told = []
    answer = build(
        [
            compounds("Na", "Cl")["NaCl"],
            compounds("Na", "Cl")["Na"],
            Compound("Na apart", (impossible,)),
        ],
        SETTINGS,
        out,
        n_workers=1,
        advance=lambda *event: told.append(event),
    )
    return out, answer, told


def test_a_build_goes_on_where_it_was(built):
    out, answer, told = built
    assert answer.n_relaxed == 2  # the third was in the journal
    assert told[0] == ("", 1, 3)
    assert told[-1][1:] == (3, 3)
    energies = {p.name: p.energy_eV_per_atom for p in answer.references.phases}
    assert energies.keys() == {"NaCl", "Na"}
    assert energies["NaCl"] == -3.5
    assert energies["Na"] == pytest.approx(energy_again("Na"), abs=2e-4)
    assert ReferencePhases.load(out).sha256 == answer.references.sha256
    assert [path.name for path in out.parent.iterdir()] == ["mine.json"]


def test_a_phase_that_fails_is_listed_and_stops_nothing(built):
    _, answer, _ = built
    assert list(answer.failures) == ["Na apart"]
    assert "no neighbour within 6" in answer.failures["Na apart"]


def test_nothing_is_relaxed_twice(built, tmp_path):
    out = tmp_path / "mine.json"
    old = built[1].references.model_copy(update={"date": "2020-01-01"})
    write_snapshot(out, old)
    again = build(
        [compounds("Na", "Cl")["NaCl"], compounds("Na", "Cl")["Na"]], SETTINGS, out, n_workers=1
    )
    assert (again.n_relaxed, again.n_reused) == (0, 2)
    assert again.references.dump() == old.dump()


def test_phases_of_other_elements_and_added_ones_are_kept_and_others_dropped(built, tmp_path):
    out = tmp_path / "mine.json"
    references = built[1].references
    potassium = next(p for p in SHIPPED.phases if p.name == "K")
    sodium = next(p for p in references.phases if p.name == "Na")
    stale = sodium.model_copy(update={"name": "Na stale", "start_sha256": "0" * 64})
    added = sodium.model_copy(update={"name": "Na of mine", "start_sha256": None})
    phases = (*references.phases, potassium, stale, added)
    write_snapshot(out, references.model_copy(update={"phases": phases}))
    again = build(
        [compounds("Na", "Cl")["NaCl"], compounds("Na", "Cl")["Na"]], SETTINGS, out, n_workers=1
    )
    assert [p.name for p in again.references.phases] == ["NaCl", "Na", "K", "Na of mine"]


def test_a_snapshot_of_another_engine_is_left_alone(built, tmp_path):
    out = tmp_path / "mine.json"
    references = built[1].references
    convention = references.convention.model_copy(update={"weights_sha256": "0" * 64})
    write_snapshot(out, references.model_copy(update={"convention": convention}))
    before = out.read_bytes()
    with pytest.raises(MixedConventions, match=r"weights 0{64}.*write to another file"):
        build([compounds("Na", "Cl")["Na"]], SETTINGS, out, n_workers=1)
    assert out.read_bytes() == before


def test_phases_relaxed_differently_are_left_alone(built, tmp_path):
    out = tmp_path / "mine.json"
    rougher = PROTOCOL.model_copy(update={"max_force_eV_per_A": 0.1})
    write_snapshot(out, built[1].references.model_copy(update={"relaxation": rougher}))
    with pytest.raises(MixedConventions, match=r"max_force_eV_per_A=0\.1"):
        build([compounds("Na", "Cl")["Na"]], SETTINGS, out, n_workers=1)


@pytest.mark.parametrize("name", ["KCl", "LiI", "TaCl5"])
def test_phases_of_the_other_weights_are_what_they_come_to_now(name):
    phases = ReferencePhases.load(R2SCAN.references).phases
    (phase,) = (phase for phase in phases if phase.name == name)
    assert energy_again(name, R2SCAN) == pytest.approx(phase.energy_eV_per_atom, abs=2e-4)


def test_phases_that_the_weights_do_not_know_are_left_out_and_named(tmp_path):
    wanted = compounds("Na", "Yb", "Cl")
    chosen = [wanted["Na"], wanted["Yb"], wanted["YbCl3"]]
    answer = build(chosen, R2SCAN, tmp_path / "mine.json", n_workers=1)
    assert [phase.name for phase in answer.references.phases] == ["Na"]
    assert answer.failures == {}
    assert answer.left_out == dict.fromkeys(("Yb", "YbCl3"), "chgnet r2scan was never fitted to Yb")
    assert "without 2 phases: chgnet r2scan was never fitted to Yb" in answer.references.source
    with pytest.raises(EngineFailure, match=r"none of 0 phases .* never fitted to Yb"):
        build(chosen[1:], R2SCAN, tmp_path / "none.json", n_workers=1)


def test_caveats_of_corrections_are_not_told_of_energies_without(tmp_path):
    molecular = start("TaCl5", "TaCl5")
    done = {molecular.sha256: Relaxed(molecular.structure, -4.0)}
    phase = phase_of(Compound("TaCl5", (molecular,)), done, engine_convention(R2SCAN))
    assert phase.caveats == ()


def test_a_build_that_gives_nothing_writes_nothing(tmp_path):
    with pytest.raises(EngineFailure, match="none of 0 phases could be relaxed"):
        build([], SETTINGS, tmp_path / "mine.json", n_workers=1)
    assert not (tmp_path / "mine.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="/proc is Linux's")
def test_a_build_that_was_killed_loses_only_what_was_in_flight(tmp_path):
    out, log = tmp_path / "mine.json", tmp_path / "mine.json.journal"
    command = [sys.executable, "-m", "workflows.cli", "references", "build", "--workers", "1"]
    command += ["--elements", "Na,Cl,K", "--out", str(out), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= 2):
        time.sleep(0.1)
    children = [int(pid) for pid in _children(process.pid)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    deadline_s = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline_s, "a worker outlived its parent"
        time.sleep(0.2)
    n_done = log.read_text().count("\n")
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(again.stdout)
    assert answer["n_relaxed"] == answer["n_phases"] - n_done
    assert not log.exists()


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


@pytest.mark.parametrize("settings", [SETTINGS, R2SCAN])
def test_the_snapshot_holds_everything_that_the_package_ships(settings):
    phases = ReferencePhases.load(settings.references).phases
    held = {phase.name: phase.start_sha256 for phase in phases}
    stale = [
        name
        for name, c in compounds().items()
        if held.get(name) != c.sha256 and not unknown_elements(settings, c.elements)
    ]
    assert not stale, "run: halideflow references build --out screening/stability/data/…"
