from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jobflow_remote
import pytest
from jobflow import Flow
from jobflow_remote import ConfigManager, JobController
from jobflow_remote.config.base import Project
from jobflow_remote.utils.data import store_from_dict
from jobflow_remote.utils.examples import add
from pymongo.errors import AutoReconnect, OperationFailure

from screening.errors import InvalidInput, Unavailable
from workflows.cluster.campaign_project import campaign_project, open_queue
from workflows.cluster.project import (
    cluster_called,
    known_clusters,
    project_file,
    project_of,
    projects_folder,
    read_project,
    write_project,
)
from workflows.cluster.settings import ClusterSettings
from workflows.cluster.stores import EnvironmentMongoStore, documents_in, unavailable
from workflows.config import StoreSettings
from workflows.execution_settings import StageResources
from workflows.results import ResultsFolder

pytestmark = pytest.mark.usefixtures("projects_folder")
SQLITE = StoreSettings()


def cluster(**changes):
    settings = {
        "name": "mine",
        "scheduler": "slurm",
        "environment": "/env",
        "scratch": "/scratch/me",
        "workers": {"cpu": {"queue": "main", "max_jobs": 3}, "gpu": {}},
    }
    return ClusterSettings(**{**settings, **changes})


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def derive(tmp_path, settings=None, campaign="films", folder="results", store=SQLITE):
    settings = settings or cluster()
    file = project_file(settings.name)
    if not file.exists():
        write_project(settings)
    (tmp_path / folder).mkdir(exist_ok=True)
    return campaign_project(settings, file, campaign, ResultsFolder(tmp_path / folder), store)


def at(queue_database, **changes):
    where = {"host": queue_database.host, "port": queue_database.port, "database": "projects"}
    return cluster(queue_database=where, **changes)


class TestProjectOfCluster:
    def test_jobflow_remote_reads_what_is_written(self):
        file = write_project(cluster())
        assert file == projects_folder() / "mine.yaml"
        project = ConfigManager().get_project("mine")
        assert list(project.workers) == ["cpu", "gpu"]
        assert project.workers["cpu"].max_jobs == 3
        assert str(project.workers["cpu"].work_dir) == "/scratch/me"
        assert project.workers["cpu"].execution_cmd == (
            "/env/bin/python -m workflows.cluster.allocation {}"
        )
        assert isinstance(project.get_queue_store(), EnvironmentMongoStore)
        assert set(project.get_jobstore().additional_stores) == {"data"}
        assert project.metadata == {"halideflow": cluster().short()}

    def test_nothing_takes_longer_than_the_settings_say(self):
        runner = Project.model_validate(project_of(cluster(polling_s=7))).runner
        delays = (runner.delay_checkout, runner.delay_check_run_status, runner.delay_advance_status)
        assert max(*delays, runner.delay_refresh_limited) == 7

    def test_ssh_with_a_gateway(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        gate = {"address": "gate", "port": 23}
        host = {"address": "login", "user": "me", "key_file": "~/key", "gateway": gate}
        worker = Project.model_validate(project_of(cluster(host=host))).workers["cpu"]
        connection = worker.get_host().connection
        assert (connection.host, connection.user, connection.port) == ("login", "me", 22)
        assert connection.connect_kwargs == {"key_filename": [str(tmp_path / "key")]}
        assert (connection.gateway.host, connection.gateway.port) == ("gate", 23)

    def test_what_jobs_run_first(self):
        settings = cluster(
            before=["module() { echo loaded $2; }", "echo before"],
            modules=["vasp/6"],
            potcars="/potcars",
        )
        script = project_of(settings)["workers"]["cpu"]["pre_run"]
        show = 'echo "$PATH|$OMP_NUM_THREADS|$SRUN_CPUS_PER_TASK|$PMG_VASP_PSP_DIR"'
        environment = {"PATH": "/bin", "SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "9"}
        done = subprocess.run(
            ["/bin/bash", "-c", script + show],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == ["before", "loaded vasp/6", "/env/bin:/bin|4|4|/potcars"]
        assert done.stderr == ""

    @pytest.mark.parametrize("scheduler", ["slurm", "pbs", "sge", "shell"])
    def test_one_thread_unless_the_queue_says_more(self, scheduler):
        script = project_of(cluster(scheduler=scheduler, workers={"a": {}}))["workers"]["a"]
        done = subprocess.run(
            ["/bin/bash", "-c", script["pre_run"] + "echo $OMP_NUM_THREADS"],
            env={"PATH": "/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "1\n"

    def test_a_password_is_in_no_file(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HALIDEFLOW_MONGO_PASSWORD", "secret")
        settings = cluster(queue_database={"username": "me", "auth_source": "admin"})
        campaign = derive(tmp_path, settings, store=StoreSettings(backend="mongodb", username="u"))
        for file in (project_file("mine"), campaign.file):
            assert "secret" not in file.read_text()
            assert file.stat().st_mode & 0o777 == 0o600

    def test_the_password_is_there_when_it_connects(self, monkeypatch):
        seen = {}
        monkeypatch.setattr("maggma.stores.mongolike.MongoClient", lambda **o: seen.update(o) or o)
        monkeypatch.setenv("HALIDEFLOW_MONGO_PASSWORD", "secret")
        settings = cluster(queue_database={"username": "me", "auth_source": "admin"})
        store = store_from_dict(project_of(settings)["queue"]["store"])
        with pytest.raises(KeyError):  # the client is none
            store.connect()
        login = (seen["username"], seen["password"], seen["authSource"])
        assert login == ("me", "secret", "admin")
        assert seen["serverSelectionTimeoutMS"] == 5000
        assert "secret" not in json.dumps(store.as_dict())
        assert store.password == ""

    def test_sanitized_commands_would_lose_their_exit_codes(self):
        """Why projects leave `sanitize_command` off."""
        written = project_of(cluster())["workers"]["cpu"]
        plain, sanitized = (
            Project.model_validate(
                {
                    **project_of(cluster()),
                    "workers": {"cpu": {**written, "sanitize_command": sanitize}},
                }
            )
            .workers["cpu"]
            .get_host()
            for sanitize in (False, True)
        )
        with pytest.warns(FutureWarning, match="cd is deprecated"):
            codes = (plain.execute("false")[2], sanitized.execute("false")[2])
        assert codes == (1, 0)
        assert written["sanitize_command"] is False


class TestFiles:
    def test_what_nobody_edited_is_written_anew(self):
        file = write_project(cluster())
        write_project(cluster(scratch="/elsewhere"))
        assert cluster_called("mine").scratch == "/elsewhere"
        assert [path.name for path in file.parent.iterdir()] == ["mine.yaml"]

    def test_what_somebody_edited_is_kept(self):
        file = write_project(cluster())
        edit(file, "max_jobs: 3", "max_jobs: 4")
        edited = file.read_text()
        with pytest.raises(InvalidInput, match=r"mine\.yaml: .* edited since; --force writes it"):
            write_project(cluster())
        assert file.read_text() == edited
        write_project(cluster(), overwrite=True)
        assert file.with_name("mine.yaml.bak").read_text() == edited
        assert "max_jobs: 3" in file.read_text()
        assert [known.settings.name for known in known_clusters()] == ["mine"]

    def test_other_projects_of_jobflow_remote_are_left_alone(self):
        foreign = project_file("mine")
        foreign.write_text("name: mine\nqueue: {}\n")
        with pytest.raises(InvalidInput, match="was not written by `halideflow cluster init`"):
            write_project(cluster())
        with pytest.raises(InvalidInput, match="that `halideflow cluster init` has not written"):
            cluster_called("mine")
        assert known_clusters() == []

    def test_settings_come_back_by_name(self):
        for settings in (cluster(), cluster(name="other", polling_s=3)):
            write_project(settings)
            assert cluster_called(settings.name) == settings
        assert [known.settings.name for known in known_clusters()] == ["mine", "other"]

    @pytest.mark.parametrize("name", ["mien", "../mine", "x" * 300])
    def test_no_such_cluster(self, name):
        write_project(cluster())
        with pytest.raises(
            InvalidInput, match=r"no such cluster;.* known are mine in .*init FILE`"
        ):
            cluster_called(name)

    def test_no_cluster_at_all(self):
        with pytest.raises(InvalidInput, match="no such cluster; none is known in"):
            cluster_called("mine")

    def test_settings_that_were_spoilt_by_hand(self):
        file = write_project(cluster())
        edit(file, "scheduler: slurm\n    environment", "scheduler: slrum\n    environment")
        with pytest.raises(InvalidInput, match=r"metadata\.halideflow\.scheduler: .* --force"):
            cluster_called("mine")

    def test_a_file_that_is_no_yaml(self):
        file = write_project(cluster())
        file.write_text("a: [")
        with pytest.raises(InvalidInput, match=r"mine\.yaml: cannot be read"):
            cluster_called("mine")

    def test_the_folder_is_jobflow_remotes_own(self, monkeypatch, tmp_path):
        assert projects_folder() == Path(jobflow_remote.SETTINGS.projects_folder)
        config = tmp_path / "jfremote.yaml"
        config.write_text(f"projects_folder: {tmp_path / 'named'}\n")
        monkeypatch.setenv("JFREMOTE_CONFIG_FILE", str(config))
        monkeypatch.delenv("JFREMOTE_PROJECTS_FOLDER")
        assert projects_folder() == tmp_path / "named"


class TestCampaignProject:
    def test_processes_find_it_by_their_environment(self, tmp_path):
        campaign = derive(tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", ASK_FOR_PROJECT],
            env={**os.environ, **campaign.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == [campaign.name, str(campaign.project.log_dir)]

    def test_this_process_finds_it_where_it_is_told_to(self, tmp_path):
        campaign = derive(tmp_path)
        with campaign.selected():
            assert ConfigManager().get_project(campaign.name) == campaign.project
        assert list(ConfigManager().projects) == ["mine"]

    def test_everything_of_it_has_a_place_of_its_own(self, tmp_path):
        others = [
            derive(tmp_path),
            derive(tmp_path, campaign="other"),
            derive(tmp_path, folder="b"),
        ]
        names = {campaign.name for campaign in others}
        assert len(names) == 3
        assert derive(tmp_path).name == others[0].name
        assert all(name.startswith(("mine_films_", "mine_other_")) for name in names)
        for campaign in others:
            results = campaign.file.parents[1]
            project = campaign.project
            for folder in (project.base_dir, project.log_dir, project.tmp_dir, project.daemon_dir):
                assert Path(folder).is_relative_to(results / "cluster" / campaign.name)
            assert str(campaign.work_root("gpu")) == f"/scratch/me/{campaign.name}/jobs"
            assert str(project.workers["gpu"].work_dir) == f"/scratch/me/{campaign.name}/queue"
        queues = [campaign.project.queue for campaign in others]
        collections = [
            name
            for queue in queues
            for name in (
                queue.store["collection_name"],
                queue.flows_collection,
                queue.auxiliary_collection,
                queue.batches_collection,
            )
        ]
        assert len(set(collections)) == 12

    def test_its_results_are_the_campaigns(self, tmp_path):
        campaign = derive(tmp_path)
        theirs = campaign.project.get_jobstore()
        ours = ResultsFolder(tmp_path / "results").job_store(SQLITE)
        theirs.connect()
        theirs.update({"uuid": "a", "index": 1, "output": 7})
        assert ours.get_output("a") == 7
        blobs = theirs.additional_stores["data"], ours.additional_stores["data"]
        assert blobs[0].name == blobs[1].name
        assert blobs[0].directory == blobs[1].directory
        theirs.close()
        ours.close()

    def test_results_in_mongodb(self, tmp_path):
        store = StoreSettings(backend="mongodb", host="db", username="me")
        documents = derive(tmp_path, store=store).project.get_jobstore().docs_store
        assert documents == documents_in(store)
        assert documents.collection_name == "documents"

    def test_what_was_changed_by_hand_holds(self, tmp_path):
        write_project(cluster())
        file = project_file("mine")
        edit(file, "delay_checkout: 5.0", "delay_checkout: 77")
        edit(file, "      partition: main\n", "      partition: other\n      constraint: fast\n")
        edit(file, "work_dir: /scratch/me", "work_dir: /moved")
        campaign = derive(tmp_path)
        assert campaign.project.runner.delay_checkout == 77
        assert str(campaign.work_root("cpu")) == f"/moved/{campaign.name}/jobs"
        assert campaign.queue_resources(StageResources(tasks=2, wall_time_h=1)) == {
            "partition": "other",
            "constraint": "fast",
            "nodes": 1,
            "ntasks": 2,
            "cpus_per_task": 1,
            "time": "01:00:00",
        }

    def test_workers_by_name(self, tmp_path):
        campaign = derive(tmp_path)
        assert campaign.worker_called(None) == "cpu"
        assert campaign.worker_called("gpu") == "gpu"
        with pytest.raises(InvalidInput, match=r'"gpus": .* did you mean gpu\? allowed: cpu, gpu'):
            campaign.worker_called("gpus")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                "type: local",
                "type: lokal",
                r"mine\.yaml: jobflow-remote cannot use it: workers.cpu",
            ),
            ("work_dir:", "wrok_dir:", "lacks workers with a work_dir, or queue.store; mend it"),
            ("max_jobs: 3", "max_jobs: many", "workers.cpu.local.max_jobs: .* --force"),
        ],
    )
    def test_a_project_that_was_spoilt_by_hand(self, tmp_path, old, new, message):
        file = write_project(cluster())
        edit(file, old, new)
        with pytest.raises(InvalidInput, match=message):
            derive(tmp_path)

    def test_names_stay_short(self, tmp_path):
        assert len(derive(tmp_path, campaign="x" * 500).name) < 70


class TestQueueDatabase:
    def test_it_is_made_ready_as_jobflow_remote_would(self, tmp_path, queue_database):
        """Compared with what its own `reset` makes."""
        ours = open_queue(derive(tmp_path, at(queue_database)))
        theirs = JobController.from_project(
            derive(tmp_path, at(queue_database), campaign="reset").project
        )
        theirs.jobstore = ours.jobstore.__class__(store_from_dict({"type": "MemoryStore"}))
        theirs.jobstore.connect()
        theirs.reset()
        for name in ("jobs", "flows", "auxiliary", "batches"):
            made, expected = (
                {
                    tuple(index["key"]): index.get("unique", False)
                    for index in getattr(controller, name).index_information().values()
                }
                for controller in (ours, theirs)
            )
            assert made == expected
        documents = [
            sorted(
                (sorted((set(document) - {"_id"})), document.get("next_id"))
                for document in controller.auxiliary.find({})
            )
            for controller in (ours, theirs)
        ]
        assert documents[0] == documents[1]
        ours.close()
        theirs.close()

    def test_jobs_that_are_there_stay(self, tmp_path, queue_database):
        campaign = derive(tmp_path, at(queue_database), campaign="twice")
        first = open_queue(campaign)
        ids = first.add_flow(Flow([add(1, 2)]), worker="cpu")
        first.close()
        second = open_queue(campaign)
        assert [info.db_id for info in second.get_jobs_info()] == ids
        assert second.add_flow(Flow([add(1, 2)]), worker="cpu") != ids
        second.close()

    def test_campaigns_do_not_see_each_others_jobs(self, tmp_path, queue_database):
        controllers = [
            open_queue(derive(tmp_path, at(queue_database), campaign=name)) for name in ("a", "b")
        ]
        controllers[0].add_flow(Flow([add(1, 2)]), worker="cpu")
        assert [controller.count_jobs() for controller in controllers] == [1, 0]
        for controller in controllers:
            controller.close()

    def test_a_database_that_lost_its_count_is_not_made_anew(self, tmp_path, queue_database):
        campaign = derive(tmp_path, at(queue_database), campaign="lost")
        controller = open_queue(campaign)
        controller.add_flow(Flow([add(1, 2)]), worker="cpu")
        controller.auxiliary.drop()
        controller.close()
        with pytest.raises(Unavailable, match=r"holds jobs, but .* does not count them; restore"):
            open_queue(campaign)

    @pytest.mark.filterwarnings("ignore:unclosed")
    def test_a_server_that_is_not_there(self, tmp_path):
        settings = cluster(queue_database={"host": "127.0.0.1", "port": 1})
        edit(write_project(settings), "timeout_ms: 5000", "timeout_ms: 200")
        with pytest.raises(Unavailable, match=r"MongoDB at 127\.0\.0\.1:1 does not answer .* mine"):
            open_queue(derive(tmp_path, settings))

    def test_a_server_that_goes_away_meanwhile(self, tmp_path):
        campaign = derive(tmp_path)
        with (
            pytest.raises(Unavailable, match=r"MongoDB at localhost:27017 does not answer"),
            campaign.database_errors(),
        ):
            raise AutoReconnect("connection closed")

    def test_a_user_who_is_refused(self):
        refused = OperationFailure("Authentication failed.", code=18)
        told = str(unavailable(refused, "db:27017", "queue_database"))
        assert told.startswith("MongoDB at db:27017 refuses the user (Authentication failed.")
        assert "set HALIDEFLOW_MONGO_PASSWORD, or mend queue_database" in told


ASK_FOR_PROJECT = """
import json
from jobflow_remote import ConfigManager
project = ConfigManager().get_project()
print(json.dumps([project.name, project.log_dir]))
"""


def test_project_files_are_read_as_they_are_written():
    assert read_project(write_project(cluster())) == project_of(cluster())
