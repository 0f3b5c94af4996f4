import pytest
from typer.testing import CliRunner

from screening.errors import MixedConventions
from screening.stability.references import ReferencePhases
from workflows.config import EngineSettings
from workflows.engines import engine_convention, load_engine
from workflows.references import app, regenerate, relax_phase

SHIPPED = ReferencePhases.load("chgnet-0.3.0")


@pytest.fixture(scope="module")
def engine():
    return load_engine(EngineSettings())


def only(*names):
    phases = tuple(p for p in SHIPPED.phases if p.name in names)
    return SHIPPED.model_copy(update={"phases": phases})


def test_the_snapshot_is_of_the_engine_that_campaigns_use():
    assert SHIPPED.convention == engine_convention(EngineSettings())


@pytest.mark.parametrize("name", ["K", "KCl", "TaCl5", "LaCl3"])
def test_a_recomputed_phase_has_the_energy_of_the_snapshot(name, engine):
    phase = only(name).phases[0]
    strained = phase.structure.copy()
    strained.scale_lattice(1.02 * strained.volume)
    started_elsewhere = phase.model_copy(update={"structure": strained})
    again = relax_phase(started_elsewhere, SHIPPED, engine)
    assert again.energy_eV_per_atom == pytest.approx(phase.energy_eV_per_atom, abs=1e-3)


def test_regenerating_a_finished_snapshot_changes_nothing(engine):
    finished = only("K", "KCl", "KTaCl6")
    n_done = []
    again = regenerate(finished, engine, advance=lambda: n_done.append(1))
    assert again.dump() == finished.dump()
    assert len(n_done) == 3


def test_regenerating_repairs_a_wrong_energy_and_dates_it(engine):
    right = only("KCl")
    wrong_phase = right.phases[0].model_copy(update={"energy_eV_per_atom": -1.0})
    wrong = right.model_copy(update={"phases": (wrong_phase,), "date": "2020-01-01"})
    repaired = regenerate(wrong, engine)
    assert repaired.sha256 == right.sha256
    assert repaired.date > "2020-01-01"


def test_another_engine_is_refused(engine):
    convention = SHIPPED.convention.model_copy(update={"weights_sha256": "0" * 64})
    other = only("K").model_copy(update={"convention": convention})
    with pytest.raises(MixedConventions, match=r"weights 0{64}.*the engine is chgnet 0\.3\.0"):
        regenerate(other, engine)


def test_command_rewrites_the_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(only("Na", "NaCl").dump(), encoding="utf-8")
    result = CliRunner().invoke(app, [str(path)])
    assert result.exit_code == 0, result.output
    assert "2 phases, largest change +0.00 meV/atom" in result.stdout
    assert ReferencePhases.load(path).sha256 == only("Na", "NaCl").sha256


def test_command_refuses_an_unknown_snapshot():
    result = CliRunner().invoke(app, ["nowhere.json"])
    assert result.exit_code == 2
    assert "no reference phases 'nowhere.json'" in result.stderr
