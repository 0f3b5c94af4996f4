"""Dynamics that is longer than the wall time of its jobs: on from its checkpoint, to the bit."""

from __future__ import annotations

import pytest
from campaigns import SMALL, halideflow, ranking, write_campaign
from on_slurm import cluster_of, codes, drivers, select, sent_to, until
from slurm import is_available

from workflows.config_file import load_campaign, results_folder
from workflows.results import ResultsFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_available(), reason="needs Slurm and munge"),
]

ATTEMPTS = "select attempts from jobs where stage = 'dynamics'"


def campaign(folder):
    """One candidate, 10 ps of dynamics: half a minute and more."""
    one = {"kcl": SMALL["kcl-a"]}
    config = write_campaign(folder / "c", one, temperatures=(300.0,))
    config.write_text(config.read_text().replace("production_ps: 0.2", "production_ps: 10"))
    return config


def answer(config):
    """Of the dynamics, with its trajectory."""
    loaded = load_campaign(config)
    store = ResultsFolder(results_folder(config, loaded)).job_store(loaded.store, read_only=True)
    store.connect()
    ((uuid,),) = select(config, "select uuid from jobs where stage = 'dynamics'")
    output = store.get_output(uuid, load=True)
    store.close()
    return output


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    config = campaign(tmp_path_factory.mktemp("local"))
    run = halideflow("run", config)
    assert run.returncode == 0, run.stderr
    return config


def of_dynamics(wall_time_s):
    """What `execution` says."""
    resources = {"dynamics": {"wall_time_h": wall_time_s / 3600}}
    return {"resources": resources, "stop_before_min": 0.05}


def test_it_goes_on_over_several_jobs_of_the_queue(slurm, queue_database, tmp_path, local):
    config = campaign(tmp_path)
    with cluster_of(slurm, queue_database, tmp_path / "cluster"):
        sent_to(config, **of_dynamics(30))
        finished = halideflow("submit", config, "--wait")
    assert finished.returncode == 0, finished.stderr
    ((n_attempts,),) = select(config, ATTEMPTS)
    assert n_attempts > 1
    assert answer(config)["result"] == answer(local)["result"]
    assert ranking(config) == ranking(local)


def test_a_wall_time_too_short_for_its_checkpoints_is_mended(
    slurm, queue_database, tmp_path, local
):
    config = campaign(tmp_path)
    config.write_text(config.read_text().replace("checkpoint_ps: 0.02", "checkpoint_ps: 20"))
    with cluster_of(slurm, queue_database, tmp_path / "cluster"):
        sent_to(config, **of_dynamics(6))
        assert halideflow("submit", config).returncode == 3
        until(lambda: not drivers(config), "it is given up", 600)
        assert codes(config) == {"WALLTIME", "LOST"}
        failures = " ".join(halideflow("failures", config).stdout.split())
        assert "execution.resources.dynamics.wall_time_h" in failures

        sent_to(config, **of_dynamics(1800))
        retried = halideflow("retry", config, "--reason", "WALLTIME")
        assert retried.returncode == 0, retried.stdout
        finished = halideflow("submit", config, "--wait")
    assert finished.returncode == 0, finished.stderr
    assert answer(config)["result"] == answer(local)["result"]
