"""What `doctor` finds of a cluster: a real Slurm, a real ssh server, and texts of others."""

from __future__ import annotations

import sys
from pathlib import Path

import pymongo
import pytest
import sshd as ssh_server

from workflows.cluster import checks
from workflows.cluster.checks import cluster_checks
from workflows.cluster.limits import queue_limits
from workflows.cluster.project import project_file, write_project
from workflows.cluster.settings import ClusterSettings
from workflows.cluster.trial import try_workers
from workflows.cluster.worker_shell import Answer
from workflows.config import CampaignConfig
from workflows.execution_settings import StageResources
from workflows.rehearsal.potcars import write_potcars

DATABASE = "checks"
NAMES = ["cluster", "connection", "scheduler", "resources", "environment", "scratch",
         "queue database", "test job"]  # fmt: skip


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """One server for all tests; what its login shell reads is theirs."""
    if not ssh_server.is_available():
        pytest.skip("no ssh server is installed (Debian: openssh-server)")
    with ssh_server.Sshd.start(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def shell_over_ssh(sshd, tmp_path, queue_database, projects_folder):
    return cluster(queue_database, tmp_path, host=login(sshd))


@pytest.fixture
def on_slurm(slurm, tmp_path, queue_database, projects_folder, monkeypatch):
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    workers = {"main": {}, "long": {"queue": "long"}}
    return cluster(queue_database, tmp_path, scheduler="slurm", workers=workers)


@pytest.fixture
def here(tmp_path, queue_database, projects_folder):
    return cluster(queue_database, tmp_path)


def login(server):
    return {
        "address": server.address,
        "port": server.port,
        "user": server.user,
        "key_file": str(server.key_file),
    }


def cluster(database, tmp_path, **changes):
    where = {"host": database.host, "port": database.port, "database": DATABASE}
    settings = {
        "name": "mine",
        "scheduler": "shell",
        "environment": sys.prefix,
        "scratch": str(tmp_path / "scratch"),
        "queue_database": where,
        "polling_s": 1,
        "workers": {"here": {}},
    }
    made = ClusterSettings(**{**settings, **changes})
    # a test need not wait for files that a shared file system may show late
    file = write_project(made, overwrite=True)
    file.write_text(file.read_text().replace("    delay_download: 5\n", ""))
    return made


def campaign(engine=None, **execution):
    return CampaignConfig.model_validate(
        {
            "name": "films",
            "candidates": {"files": [{"path": "a.cif", "mobile_ion": "K"}]},
            "engine": engine or {},
            "execution": {"cluster": "mine", "wall_time_h": 1, **execution},
        }
    )


def look(config=None, *, labels=(), test_job=False):
    found = cluster_checks(config or campaign(), lambda: list(labels), test_job=test_job)
    return {check.name: check for check in found}


def collections(queue_database):
    with pymongo.MongoClient(queue_database.host, queue_database.port) as client:
        return client[DATABASE].list_collection_names()


def test_slurm_from_a_job_to_its_answer(on_slurm, queue_database, tmp_path):
    found = look(test_job=True)
    assert list(found) == NAMES
    assert {check.state for check in found.values()} == {"ok"}, found
    assert found["scheduler"].found.startswith("slurm")
    assert "main: nodes: 1, cores: 4, cores a node: 4" in found["resources"].found
    assert f"{sys.prefix}: Python 3." in found["environment"].found
    assert "engine chgnet 0.3.0" in found["environment"].found
    assert "worker main: ran on " in found["test job"].found
    assert collections(queue_database) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_laptop_from_ssh_to_the_answer(shell_over_ssh, sshd, queue_database, tmp_path):
    found = look(test_job=True)
    names = list(found)
    names.remove("login shell")
    assert names == NAMES
    assert {check.state for check in found.values()} == {"ok"}, found
    assert found["connection"].found.startswith("127.0.0.1 (")
    assert "worker here: ran on " in found["test job"].found
    assert collections(queue_database) == []
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.fixture
def noisy(sshd):
    """A login shell that greets."""
    profile = sshd.home / ".bash_profile"
    profile.write_text("echo Welcome to the machine\n")
    yield profile
    profile.unlink()


@pytest.fixture
def quick_environment(monkeypatch):
    ok = checks.Check("environment", "ok", "not looked at")
    monkeypatch.setattr(checks, "environment_checks", lambda *_: iter([ok]))


@pytest.mark.usefixtures("noisy", "quick_environment")
def test_a_login_shell_that_prints(shell_over_ssh):
    found = look(test_job=True)
    assert found["login shell"].state == "fail"
    assert found["login shell"].found == "prints with every command: Welcome to the machine"
    assert "[[ $- == *i* ]] || return" in found["login shell"].advice
    assert found["scheduler"].state == "ok"
    assert found["test job"].state == "warn"
    assert found["test job"].found == "not sent, for it needs: login shell"


@pytest.mark.usefixtures("noisy")
def test_a_login_shell_that_prints_does_break_jobs(shell_over_ssh):
    (trial,) = try_workers(shell_over_ssh, project_file("mine"), ["here"], limit_s=20)
    assert trial.end == "failed"
    assert "InvalidJobIDError: Job ID 'Welcome to the machine" in trial.text


@pytest.mark.usefixtures("quick_environment")
def test_a_login_shell_mended_as_advised(shell_over_ssh, noisy):
    noisy.write_text(f"[[ $- == *i* ]] || return\n{noisy.read_text()}")
    assert look()["login shell"].state == "ok"


@pytest.mark.usefixtures("quick_environment")
def test_exit_codes_that_are_lost(shell_over_ssh):
    file = project_file("mine")
    file.write_text(file.read_text().replace("sanitize_command: false", "sanitize_command: true"))
    found = look()["login shell"]
    assert found.state == "warn"
    assert "a scheduler that does not answer looks like one whose jobs have ended" in found.found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"port": 1}, "Unable to connect to port 1 on 127.0.0.1"),
        ({"key_file": "/no/such/key"}, "No such file or directory: '/no/such/key'"),
    ],
)
def test_no_connection(sshd, tmp_path, queue_database, projects_folder, change, found):
    settings = {**login(sshd), **change}
    cluster(queue_database, tmp_path, host=settings)
    told = look(test_job=True)
    assert list(told) == ["cluster", "connection", "queue database", "test job"]
    assert told["connection"].state == "fail"
    assert found in told["connection"].found
    by_hand = f"`ssh -p {settings['port']} -i {settings['key_file']} {settings['user']}@127.0.0.1"
    assert told["connection"].advice.startswith(f"{by_hand} true` must work without a question")
    assert told["test job"].found == "not sent, for it needs: connection"


def test_no_such_cluster(here):
    found = look(campaign(cluster="mien"))
    assert list(found) == ["cluster"]
    assert found["cluster"].state == "fail"
    assert "did you mean mine?" in found["cluster"].found


def test_a_project_that_was_spoilt(here):
    file = project_file("mine")
    file.write_text(file.read_text().replace("type: local", "type: lokal"))
    found = look()
    assert found["cluster"].state == "fail"
    assert "mine.yaml: workers.here: " in found["cluster"].found


@pytest.mark.usefixtures("quick_environment")
def test_a_scheduler_that_is_not_there(tmp_path, queue_database, projects_folder):
    cluster(queue_database, tmp_path, scheduler="pbs", workers={"main": {}})
    found = look()["scheduler"]
    assert found.state == "fail"
    assert found.found == "pbs: no command qsub, qstat, qdel"


@pytest.mark.usefixtures("quick_environment")
@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"relax": {"worker": "mian"}}, 'relax: no worker "mian"; did you mean main?'),
        ({"dynamics": {"tasks": 100}}, "dynamics: cores: 100, the queue gives 4"),
        ({"relax": {"gpus": 1}}, "relax: gpus: 1, the queue has none"),
        ({"relax": {"memory_GB": 50}}, "relax: GB a node: 50, the queue gives 15.6"),
        ({"relax": {"larger": [{"from_atoms": 90, "tasks": 64}]}}, "relax from 90: cores: 64"),
        ({"quench": {"tasks": 100}}, None),  # the campaign makes no glass
    ],
)
def test_what_the_cluster_cannot_give(on_slurm, resources, problem):
    found = look(campaign(resources=resources))["resources"]
    assert (found.state, problem or found.found) == ("fail" if problem else "ok", found.found) or (
        found.state == "fail" and problem in found.found
    )


@pytest.mark.usefixtures("quick_environment")
def test_wall_times_beyond_the_queues(on_slurm, slurm):
    slurm.run("scontrol", "update", "PartitionName=main", "MaxTime=2-00:00:00", "DefaultTime=30")
    try:
        found = look(campaign(wall_time_h=49))["resources"]
        assert found.state == "fail"
        assert "relax: wall_time_h: 49, the queue gives 48" in found.found
        assert look(campaign(wall_time_h=48))["resources"].state == "ok"
        untimed = look(campaign(wall_time_h=None))["resources"]
        assert untimed.state == "warn"
        assert untimed.found.startswith("no wall time for relax, dynamics: the queue's default")
    finally:
        endless = ("MaxTime=UNLIMITED", "DefaultTime=UNLIMITED")
        slurm.run("scontrol", "update", "PartitionName=main", *endless)


@pytest.mark.usefixtures("quick_environment")
def test_a_partition_that_is_not_there(on_slurm, tmp_path, queue_database):
    cluster(queue_database, tmp_path, scheduler="slurm", workers={"a": {"queue": "gpu"}})
    found = look(test_job=True)
    assert found["resources"].state == "fail"
    assert 'partition "gpu": Slurm has no such partition; allowed: main, long' in (
        found["resources"].found
    )


def test_a_test_job_that_waits(on_slurm, slurm, queue_database):
    held = slurm.submit("sleep 60", "--ntasks=4")
    slurm.wait_for_start(held)
    (trial,) = try_workers(on_slurm, project_file("mine"), ["long"], limit_s=3)
    slurm.scancel(held)
    assert trial.end == "waiting"
    assert "PENDING, " in trial.text
    slurm.wait_for_end(held)
    assert slurm.squeue() == {}
    assert collections(queue_database) == []


def test_a_test_job_that_fails_says_why(here):
    file = project_file("mine")
    file.write_text(
        file.read_text().replace("/bin/python -m workflows", "/bin/pyhton -m workflows")
    )
    (trial,) = try_workers(here, file, ["here"], limit_s=20)
    assert trial.end == "failed"
    assert "/bin/pyhton: No such file or directory" in trial.text


def test_a_test_job_that_cannot_be_submitted(on_slurm):
    file = project_file("mine")
    file.write_text(file.read_text().replace("partition: long", "partition: lnog"))
    trials = {t.worker: t for t in try_workers(on_slurm, file, ["main", "long"], limit_s=20)}
    assert trials["main"].end == "back"
    assert trials["long"].end == "failed"
    assert "invalid partition specified: lnog" in trials["long"].text


def test_an_environment_that_is_not_there(tmp_path, queue_database, projects_folder):
    cluster(queue_database, tmp_path, environment="/nowhere")
    found = look()["environment"]
    assert found.state == "fail"
    assert "/nowhere/bin/python: No such file or directory" in found.found
    assert found.advice.startswith("install halideflow 0.")


@pytest.mark.usefixtures("quick_environment")
@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_queue_database_that_is_not_there(tmp_path, queue_database, projects_folder):
    cluster(queue_database, tmp_path, queue_database={"host": "127.0.0.1", "port": 1})
    file = project_file("mine")
    file.write_text(file.read_text().replace("timeout_ms: 5000", "timeout_ms: 100"))
    found = look()["queue database"]
    assert found.state == "fail"
    assert found.found.startswith("MongoDB at 127.0.0.1:1 does not answer")


@pytest.mark.usefixtures("quick_environment")
def test_scratch_that_cannot_be_written(tmp_path, queue_database, projects_folder):
    cluster(queue_database, tmp_path, scratch="/proc/nothing")
    assert look()["scratch"].state == "fail"


def test_vasp_and_its_potentials_after_modules(tmp_path, queue_database, projects_folder):
    bin_folder, potcars = tmp_path / "bin", tmp_path / "potcars"
    bin_folder.mkdir()
    (bin_folder / "vasp_std").touch(mode=0o755)
    write_potcars(potcars, ["K_sv"], "PBE")
    cluster(
        queue_database,
        tmp_path,
        before=[f"module() {{ export PATH={bin_folder}:$PATH; }}"],
        modules=["vasp"],
        vasp_command="nice vasp_std",
        vasp_gamma_command="nice vasp_gam",
        potcars=str(potcars),
    )
    found = look(campaign({"name": "vasp"}), labels=["K_sv", "Cl"])
    assert found["vasp there"].state == "warn"
    assert found["vasp there"].found.endswith("after modules are loaded: vasp_gam")
    assert found["potcars there"].state == "fail"
    assert found["potcars there"].found == f"needed: K_sv, Cl; missing: Cl (in {potcars})"


class Says:
    """A shell that answers as another machine did."""

    def __init__(self, stdout, code=0):
        self.answer = Answer(stdout, "", code)

    def run(self, command):
        return self.answer


PBS_QUEUE = """\
Queue: normal
    queue_type = Execution
    total_jobs = 12
    state_count = Transit:0 Queued:8 Held:0 Waiting:0 Running:4 Exiting:0 Begun:0
    resources_max.ncpus = 512
    resources_max.nodect = 16
    resources_max.walltime = 48:00:00
    resources_default.walltime = 01:00:00
    enabled = True
    started = True
"""
SGE_QUEUE = """\
qname                 all.q
hostlist              @allhosts
pe_list               make mpi
slots                 1,[node1=16]
s_rt                  INFINITY
h_rt                  24:00:00
"""


def test_what_pbs_tells_of_a_queue():
    limits = queue_limits(Says(PBS_QUEUE), "pbs", "normal")
    assert (limits.wall_time_h, limits.default_time_h) == (48, 1)
    assert (limits.nodes, limits.cores) == (16, 512)
    assert limits.is_open
    closed = PBS_QUEUE.replace("started = True", "started = False")
    assert not queue_limits(Says(closed), "pbs", "normal").is_open
    wide = StageResources(nodes=17, tasks=34, wall_time_h=72)
    assert list(limits.complaints(wide)) == [
        "wall_time_h: 72, the queue gives 48",
        "nodes: 17, the queue gives 16",
    ]


def test_what_sge_tells_of_a_queue():
    assert queue_limits(Says(SGE_QUEUE), "sge", "all.q").wall_time_h == 24
    endless = SGE_QUEUE.replace("24:00:00", "INFINITY")
    assert queue_limits(Says(endless), "sge", "all.q").is_endless


@pytest.mark.parametrize("scheduler", ["pbs", "sge"])
def test_a_queue_that_is_not_there(scheduler):
    with pytest.raises(Exception, match=r'queue "gpu": .* lists the queues'):
        queue_limits(Says("unknown queue", 1), scheduler, "gpu")


def test_home_of_the_tests_is_not_the_users(sshd):
    assert sshd.home != Path.home()
