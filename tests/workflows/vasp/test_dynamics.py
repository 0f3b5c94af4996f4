"""Adaptive AIMD with the stand-in as VASP: the same run in pieces, and every way it can end."""

import numpy as np
import pytest
from vasp_cells import DYNAMICS, NACL

from screening.errors import ProgramKilled
from screening.transport.documents import DynamicsDocument
from screening.transport.stopping import StoppingRule
from workflows.config import EngineSettings
from workflows.engines import engine_convention
from workflows.engines.vasp import VaspEngine
from workflows.stages.dynamics import _document
from workflows.stages.transport import fit_runs
from workflows.vasp.dynamics import MAX_ATTEMPTS, VaspRun
from workflows.vasp.pieces import attempts, note_attempt

ENGINE = VaspEngine(EngineSettings(name="rehearsal"))
RULE = StoppingRule(relative_error=None)
LONG = DYNAMICS.model_copy(
    update={"heating_ps": 0.0, "equilibration_ps": 0.04, "segment_ps": 0.2, "production_ps": 1.0}
)


def parts(folder, settings=DYNAMICS, rule=RULE):
    """What each job of a run answers, the last one with the run."""
    for _ in range(40):
        yield ENGINE.move(NACL, 500.0, settings, "Na", rule, folder)


def whole(folder, settings=DYNAMICS, rule=RULE):
    return next(made for made in parts(folder, settings, rule) if made is not None)


def vasp_run(folder, settings=DYNAMICS):
    return VaspRun(
        NACL,
        500.0,
        settings,
        ENGINE.settings.vasp,
        ENGINE._program(),
        ENGINE.convention,
        folder,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """500 steps of production in one run of VASP."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(folder)
        return whole(folder, LONG.model_copy(update={"segment_ps": 1.0}))


def test_five_segments_are_the_run_in_one(folder, faults, executed, unbroken):
    """One of them killed, and one stopped for its wall time: no atom is anywhere else."""
    faults("kill=30 where=*production-0002* times=1; slow=0.3 where=*production-0003* times=1")
    executed(wall_time_h=12 / 3600, stop_before_min=5 / 60, vasp_files="keep")
    answers = []
    for made in parts(folder, LONG):
        answers.append(made)
        if made is not None:
            break
    run = answers[-1]
    assert answers[:-1] == [None] * (len(answers) - 1)  # each part is a job of its own
    assert run.end.outcome == "budget"
    assert run.n_production_steps == unbroken.n_production_steps == 500
    assert len(run.trajectory.positions_A) == 250
    np.testing.assert_allclose(
        run.trajectory.positions_A, unbroken.trajectory.positions_A, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        run.trajectory.potential_energies_eV, unbroken.trajectory.potential_energies_eV, atol=1e-6
    )
    names = [record.name for record in run.calculations]
    assert names[:3] == [
        "equilibration-from-0",
        "production-0001-from-20",
        "production-0002-from-120",
    ]
    assert sum(name.startswith("production-0003") for name in names) == 2  # the wall time
    assert (folder / "files" / "production-0002-from-120.interrupted-1").is_dir()
    assert (folder / "files" / "production-0001-from-20" / "vasprun.xml").exists()


def test_a_run_is_described_by_what_was_run(unbroken):
    assert unbroken.convention == engine_convention(ENGINE.settings)
    assert unbroken.timestep_fs == 2
    assert (unbroken.n_heating_steps, unbroken.n_equilibration_steps) == (0, 20)
    assert unbroken.trajectory.stride == 2
    assert unbroken.trajectory.cell_A == pytest.approx(NACL.lattice.matrix)
    assert unbroken.mean_temperature_K == pytest.approx(
        unbroken.trajectory.kinetic_temperatures_K.mean()
    )
    # an exact integrator: what moves is the rounding of forces
    assert abs(unbroken.energy_drift_eV_per_atom_per_ps) < 5e-4


def test_inputs_are_those_of_the_literature(unbroken):
    incar = unbroken.calculations[-1].incar
    wanted = {"ISPIN": 1, "IBRION": 0, "MDALGO": 2, "ISIF": 2, "POTIM": 2, "NSW": 500}
    assert {tag: incar[tag] for tag in wanted} == wanted
    assert (incar["TEBEG"], incar["TEEND"]) == (500, 500)
    assert not {"GGA", "METAGGA", "ENCUT", "LAECHG", "LELF", "MAGMOM"} & incar.keys()
    assert unbroken.calculations[-1].kpoints == "Gamma 1 1 1"


def test_heating_is_a_ramp_that_goes_on_where_it_was_stopped(folder):
    settings = DYNAMICS.model_copy(update={"heating_ps": 2.0})
    run = VaspRun(
        NACL, 500.0, settings, ENGINE.settings.vasp, ENGINE._program(), ENGINE.convention, folder
    )
    assert list(run.first_pieces())[:2] == [("heating", 0, 1000), ("equilibration", 1000, 1020)]
    for step, expected_K in ((0, 100.0), (500, 300.0)):
        generator = run.maker(step, 1000, run.initial_poscar()).input_set_generator
        assert generator.start_temp == pytest.approx(expected_K)
        assert generator.end_temp == pytest.approx(500.0)
        assert generator.nsteps == 1000 - step


def test_what_was_obtained_counts_when_a_segment_fails_again_and_again(folder, faults):
    faults("kill=5 where=*production-0002*")
    settings = DYNAMICS.model_copy(
        update={"segment_ps": 1.0, "production_ps": 3.0, "frame_interval_fs": 10}
    )
    answers = []
    for made in parts(folder, settings):
        answers.append(made)
        if made is not None:
            break
    run = answers[-1]
    assert len(answers) == 3 + MAX_ATTEMPTS  # heating, equilibration, one segment, three attempts
    assert run.end.outcome == "failed"
    assert run.end.failure.code == "KILLED"
    assert "given up after attempt 3, and the 1 ps before count" in run.end.message
    assert run.n_production_steps == 500
    assert attempts(folder, "production-0002-from-540") == 0  # the next run tries anew
    document = _document(run, None, 500.0, 1.0)
    assert (document.state, document.failure.code, document.result) == ("failed", "KILLED", None)
    assert document.partial is run
    fitted = fit_runs([document], [500.0], "Na")
    assert fitted.state == "done"
    assert fitted.result.diffusivities[0].temperature_K == 500.0
    assert fitted.result.ends["500"].outcome == "failed"
    assert fitted.result.failures == {}


def test_nothing_obtained_is_a_failure(folder, faults):
    faults("kill=5 where=*heating*")
    assert [next(parts(folder)), next(parts(folder))] == [None, None]
    with pytest.raises(ProgramKilled, match="heating-from-0: VASP was killed before its end"):
        next(parts(folder))


def test_a_process_that_dies_with_vasp_counts_as_an_attempt(folder):
    """kill -9 of the worker, or a node that fails, leaves only the note."""
    for _ in range(MAX_ATTEMPTS):
        note_attempt(folder, "heating-from-0")
    with pytest.raises(ProgramKilled, match="the process that ran VASP was killed 3 times"):
        next(parts(folder))
    assert attempts(folder, "heating-from-0") == 0


def test_a_piece_that_custodian_changed_is_made_anew(folder, faults, unbroken):
    """Its handlers shorten time steps and go on from CONTCAR, which is right for relaxations."""
    faults("message=WARNING in EDDRMM: call to ZHEGV failed where=*production* times=2")
    run = whole(folder, LONG.model_copy(update={"segment_ps": 1.0}))
    assert run.end.outcome == "budget"
    np.testing.assert_array_equal(run.trajectory.positions_A, unbroken.trajectory.positions_A)
    assert (folder / "files" / "production-0001-from-20.interrupted-1").is_dir()
    assert run.calculations[-1].corrections == ()


def test_a_run_that_explodes(folder, faults):
    faults("explode=10 where=*production-0002*")
    run = whole(folder)
    assert run.end.outcome == "exploded"
    assert "at a target of 500 K" in run.end.message
    assert _document(run, None, 500.0, 1.0).failure.code == "RUN_EXPLODED"


def test_a_run_that_drifts(folder, faults):
    faults("drift=0.5 where=*production*")
    run = whole(folder)
    assert run.end.outcome == "drifted"
    assert "the conserved energy drifts by" in run.end.message
    document = _document(run, None, 500.0, 1.0)
    assert isinstance(document, DynamicsDocument)
    assert (document.state, document.failure.code) == ("failed", "RUN_DRIFTED")
    assert fit_runs([document], [500.0], "Na").state == "failed"


def test_velocities_are_the_same_on_every_machine(folder):
    first, second = (
        VaspRun(
            NACL, 500.0, DYNAMICS, ENGINE.settings.vasp, ENGINE._program(), ENGINE.convention, f
        )
        for f in (folder, folder / "elsewhere")
    )
    assert first.initial_poscar() == second.initial_poscar()
