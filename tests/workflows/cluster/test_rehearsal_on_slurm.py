"""A rehearsal through jobflow-remote on Slurm, with a runner killed, a scancel and a time limit."""

from __future__ import annotations

import pytest
from campaigns import halideflow, ranking, rock_salt
from on_slurm import cluster_of, kill, queue_ids, select, sent_to, states, until

CAMPAIGN = """\
name: rehearsed
engine:
  name: rehearsal
  vasp: {relax: {incar: {EDIFFG: -0.03}}}
candidates:
  files:
    - {path: nacl.cif, mobile_ion: Na}
    - {path: nabr.cif, mobile_ion: Na}
relax: {rattle_A: 0}
dynamics:
  temperatures_K: [400]
  heating_ps: 0.04
  equilibration_ps: 0.04
  segment_ps: 0.1
  production_ps: 0.2
  frame_interval_fs: 4
  min_cell_width_A: 3
"""
VALUES = ("id", "state", "e_hull_eV_per_atom", "reduction_limit_V", "oxidation_limit_V")


def campaign(folder):
    folder.mkdir(parents=True)
    rock_salt("Na", "Cl", 5.7).get_primitive_structure().to(str(folder / "nacl.cif"))
    rock_salt("Na", "Br", 6.0).get_primitive_structure().to(str(folder / "nabr.cif"))
    path = folder / "c.yaml"
    path.write_text(CAMPAIGN)
    return path


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    config = campaign(tmp_path_factory.mktemp("local") / "c")
    run = halideflow("run", config)
    assert run.returncode == 0, run.stderr
    return ranking(config)


def test_the_ranking_is_that_of_a_local_run(slurm, queue_database, tmp_path, local):
    config = campaign(tmp_path / "c")
    with cluster_of(slurm, queue_database, tmp_path / "cluster"):
        sent_to(config, wall_time_h=0.5, stop_before_min=1)
        submitted = halideflow("submit", config)
        assert submitted.returncode == 3, submitted.stderr
        until(lambda: len(queue_ids(config, "relax")) == 2, "both relaxations run")
        cancelled, ended = queue_ids(config, "relax")

        kill(config)  # the driver, and jobflow-remote's runner with it
        assert halideflow("status", config).returncode == 3
        slurm.scancel(cancelled)
        slurm.reach_time_limit(ended)
        assert slurm.wait_for_end(ended, 90) == "TIMEOUT"

        again = halideflow("submit", config)
        assert again.returncode == 3, again.stderr
        until(lambda: "failed" in states(config, "relax"), "the scancel is noticed")
        failures = halideflow("failures", config)
        assert failures.returncode == 4
        assert "CANCELLED_OUTSIDE" in failures.stdout
        assert "retry" in failures.stdout
        until(lambda: len(queue_ids(config, "relax")) == 1, "the other relaxation runs again")

        retried = halideflow("retry", config, "--reason", "CANCELLED_OUTSIDE")
        assert retried.returncode == 0, retried.stderr
        finished = halideflow("submit", config, "--wait")
        assert finished.returncode == 0, finished.stderr
        attempts = select(config, "select attempts from jobs where stage = 'relax'")
        assert attempts == [(2,), (2,)]
        assert slurm.squeue() == {}
        assert halideflow("submit", config, "--wait").returncode == 0
    found = ranking(config)
    assert [row["id"] for row in found] == [row["id"] for row in local]
    for mine, theirs in zip(found, local, strict=True):
        for value in VALUES:
            if isinstance(theirs[value], float):
                assert mine[value] == pytest.approx(theirs[value], abs=1e-6), value
            else:
                assert mine[value] == theirs[value], value
