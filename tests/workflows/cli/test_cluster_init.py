import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workflows.cli import app
from workflows.cluster.settings import ClusterSettings

EXAMPLES = Path(__file__).parents[3] / "configs" / "clusters"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """jobflow-remote's folder of projects, not there yet."""
    monkeypatch.setenv("JFREMOTE_PROJECTS_FOLDER", str(tmp_path / "projects"))
    return tmp_path / "projects"


@pytest.fixture
def file(tmp_path):
    return Path(shutil.copy(EXAMPLES / "slurm.yaml", tmp_path / "mine.yaml"))


def halideflow(*arguments):
    return CliRunner().invoke(app, ["cluster", *map(str, arguments)])


def test_init_says_where_it_went_and_what_comes_next(file, folder):
    done = halideflow("init", file)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "my-slurm: slurm from this machine, workers cpu, long, gpu",
        f"jobflow-remote's project: {folder}/my-slurm.yaml",
        "Next:",
        "  export HALIDEFLOW_MONGO_PASSWORD=...  of me at the queue database",
        "  execution: {cluster: my-slurm}  in the campaign's file",
        "  halideflow doctor CAMPAIGN  tries everything there, up to a job through the queue",
    ]
    assert [path.name for path in folder.iterdir()] == ["my-slurm.yaml"]


def test_init_again_takes_up_what_changed(file, folder):
    halideflow("init", file)
    file.write_text(file.read_text().replace("/scratch/me", "/scratch/us"))
    assert halideflow("init", file).exit_code == 0
    assert "work_dir: /scratch/us/halideflow" in (folder / "my-slurm.yaml").read_text()


def test_init_keeps_what_was_edited_by_hand(file, folder):
    halideflow("init", file)
    project = folder / "my-slurm.yaml"
    project.write_text(project.read_text() + "log_level: debug\n")
    edited = project.read_text()
    refused = halideflow("init", file)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "has been edited since; --force writes it anew" in refused.stderr
    assert project.read_text() == edited
    assert halideflow("init", file, "--force").exit_code == 0
    assert project.read_text() != edited
    assert (folder / "my-slurm.yaml.bak").read_text() == edited


def test_a_bad_file_writes_nothing(file, folder):
    file.write_text(file.read_text().replace("scheduler: slurm", "scheduler: slrum"))
    done = halideflow("init", file)
    assert (done.exit_code, done.stdout) == (2, "")
    assert 'scheduler: found "slrum"; did you mean slurm?' in done.stderr
    assert not folder.exists()


def test_a_file_that_is_not_there(tmp_path):
    done = halideflow("init", tmp_path / "none.yaml")
    assert done.exit_code == 2
    assert "none.yaml: cannot be read: no such file or directory" in done.stderr


def test_list(file, folder):
    assert "no cluster in" in halideflow("list").stdout
    for path in EXAMPLES.glob("*.yaml"):
        halideflow("init", path)
    (folder / "other.yaml").write_text("name: other\nqueue: {}\n")
    lines = halideflow("list").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["from-my-laptop", "my-pbs", "my-slurm"]
    assert lines[0] == (
        "from-my-laptop: slurm over ssh to login.cluster.example.org, workers cpu; "
        f"{folder}/from-my-laptop.yaml"
    )
    first, *_ = json.loads(halideflow("list", "--json").stdout)
    assert first == {
        "name": "from-my-laptop",
        "scheduler": "slurm",
        "host": "login.cluster.example.org",
        "workers": ["cpu"],
        "file": f"{folder}/from-my-laptop.yaml",
    }


def test_schema():
    schema = json.loads(halideflow("schema").stdout)
    assert schema["properties"].keys() == ClusterSettings.model_fields.keys()


def test_doctor_of_a_campaign_whose_cluster_is_not_known(tmp_path, monkeypatch):
    from workflows.cli import doctor

    ok = doctor.Check("weights", "ok", "not looked at")
    monkeypatch.setattr(doctor, "_weights", lambda settings: ok)
    quickstart = EXAMPLES.parent / "quickstart.yaml"
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(quickstart.read_text() + "\nexecution: {cluster: my-slurm}\n")
    done = CliRunner().invoke(app, ["doctor", str(campaign), "--no-test-job"])
    assert done.exit_code == 1
    assert 'fail  cluster         cluster "my-slurm": there is no such cluster; none is known' in (
        done.stdout
    )
