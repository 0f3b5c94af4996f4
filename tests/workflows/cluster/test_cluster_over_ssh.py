"""A campaign on a Slurm that is reached over ssh: its login node goes away, a job is killed."""

from __future__ import annotations

import json

import pytest
from campaigns import CELLS, halideflow, ranking, write_campaign
from on_slurm import (
    answered,
    cluster_of,
    drivers,
    notes,
    processes_of,
    queue_ids,
    select,
    sent_to,
    until,
)
from slurm import is_available as has_slurm
from sshd import Sshd
from sshd import is_available as has_sshd

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_slurm(), reason="needs Slurm and munge"),
    pytest.mark.skipif(not has_sshd(), reason="needs OpenSSH"),
]


def test_a_login_node_that_goes_away_and_comes_back(slurm, queue_database, tmp_path):
    config, local = (
        write_campaign(tmp_path / name, CELLS, temperatures=(300.0,)) for name in ("c", "local")
    )
    assert halideflow("run", local).returncode == 0
    with Sshd.start(tmp_path / "sshd", **slurm.environment) as sshd:
        host = {"address": sshd.address, "port": sshd.port, "key_file": str(sshd.key_file)}
        with cluster_of(slurm, queue_database, tmp_path / "cluster", host=json.dumps(host)):
            batch = {"jobs_per_queue_job": 3}
            sent_to(config, wall_time_h=0.5, resources={"relax": batch, "dynamics": batch})
            assert halideflow("submit", config).returncode == 3
            until(lambda: queue_ids(config, "relax"), "the relaxations run")
            sshd.kill()
            until(lambda: "host" in notes(config), "it is noted that nobody answers")
            assert "does not answer" in halideflow("status", config).stdout
            until(lambda: not slurm.squeue(), "the relaxations have ended")
            sshd.restart()

            until(lambda: answered(config, "dynamics"), "some dynamics has answered", 300)
            assert "host" not in notes(config)
            for process in processes_of(queue_ids(config, "dynamics")[0]):
                process.kill()
            n_answered = len(answered(config, "dynamics"))
            until(lambda: not drivers(config), "the campaign has come to its end", 300)
            assert halideflow("status", config).returncode == 0
            attempts = "select attempts from jobs where stage = ? order by attempts"
            assert select(config, attempts, "relax") == [(1,)] * 3
            again = [(2,)] * (3 - n_answered)
            assert select(config, attempts, "dynamics") == [(1,)] * n_answered + again
            for stage in ("relax", "dynamics"):
                assert sorted(answered(config, stage).values()) == [1, 1, 1]
    assert ranking(config) == ranking(local)
