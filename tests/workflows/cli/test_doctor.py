import json
import shutil
import sqlite3
from collections import namedtuple

import pytest
from typer.testing import CliRunner

from screening.errors import InvalidInput
from workflows import engines
from workflows.cli import app, doctor
from workflows.config_docs import default_yaml

GIB = 2**30
NAMES = ["python", "config", "weights", "torch", "references", "results folder", "sqlite", "memory"]


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(default_yaml(), encoding="utf-8")
    return path


@pytest.fixture
def no_weights(monkeypatch):
    """Skips loading the network, which takes seconds."""
    ok = doctor.Check("weights", "ok", "not looked at")
    monkeypatch.setattr(doctor, "_weights", lambda settings: ok)


def checks(*arguments):
    result = CliRunner().invoke(app, ["doctor", "--json", *map(str, arguments)])
    return result, {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_this_machine_is_ready(campaign):
    result, found = checks(campaign)
    assert result.exit_code == 0, result.stdout
    assert list(found) == NAMES
    assert {check["state"] for check in found.values()} <= {"ok", "warn"}
    assert "chgnet 0.3.0, sha256 " in found["weights"]["found"]
    assert "CUDA: " in found["torch"]["found"]
    assert "days old, sha256 " in found["references"]["found"]
    assert str(campaign.with_suffix("")) in found["results folder"]["found"]
    assert found["sqlite"]["found"] == f"{sqlite3.sqlite_version}, journal mode wal"
    assert [path.name for path in campaign.parent.iterdir()] == ["my.yaml"]


@pytest.mark.usefixtures("no_weights")
def test_text_without_a_campaign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line[6:22].strip() for line in lines if line.startswith(("ok", "warn"))] == [
        name for name in NAMES if name != "config"
    ]


@pytest.mark.usefixtures("no_weights")
def test_a_bad_config_is_a_failed_check(campaign):
    campaign.write_text("name: demo\nengine: {name: vaps}\n", encoding="utf-8")
    result, found = checks(campaign)
    assert result.exit_code == 1
    assert found["config"]["state"] == "fail"
    assert 'line 2, engine.name: found "vaps"; did you mean vasp?' in found["config"]["found"]
    assert found["memory"]["state"] in {"ok", "warn"}


@pytest.mark.usefixtures("no_weights")
def test_unknown_references(campaign):
    text = default_yaml().replace('references: "chgnet-0.3.0"', "references: nothing")
    campaign.write_text(text, encoding="utf-8")
    result, found = checks(campaign)
    assert result.exit_code == 1
    assert found["references"]["state"] == "fail"
    assert "'nothing'" in found["references"]["found"]
    assert found["references"]["advice"] == "correct stability.references"


@pytest.mark.usefixtures("no_weights")
def test_references_of_another_convention(campaign, monkeypatch):
    monkeypatch.setattr(engines, "engine_convention", lambda settings: None)
    _, found = checks(campaign)
    assert found["references"]["state"] == "fail"
    assert found["references"]["found"].endswith("of another energy convention")


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(("free_GiB", "state"), [(50, "ok"), (5, "warn"), (0.5, "fail")])
def test_free_disk_space(campaign, monkeypatch, free_GiB, state):
    usage = namedtuple("usage", "total used free")(0, 0, free_GiB * GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    result, found = checks(campaign)
    assert found["results folder"]["state"] == state
    assert f"{free_GiB:.1f} GiB free" in found["results folder"]["found"]
    assert result.exit_code == (state == "fail")


@pytest.mark.usefixtures("no_weights")
def test_a_folder_that_cannot_be_written(campaign, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied", str(campaign.parent))

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    result, found = checks(campaign)
    assert result.exit_code == 1
    assert "Permission denied" in found["results folder"]["found"]
    assert found["results folder"]["advice"] == "choose results_dir"


def test_weights_that_do_not_load(campaign, monkeypatch):
    def refuse(settings):
        raise InvalidInput("weights are gone")

    monkeypatch.setattr(engines, "load_potential", refuse)
    result, found = checks(campaign)
    assert result.exit_code == 1
    assert found["weights"]["found"] == "InvalidInput: weights are gone"
    assert found["weights"]["advice"].startswith("install again")
