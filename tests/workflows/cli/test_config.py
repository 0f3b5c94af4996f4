import json

import pytest
from typer.testing import CliRunner

from workflows.cli import app
from workflows.config_docs import default_yaml, json_schema


@pytest.fixture
def halideflow():
    """Runs `halideflow` with the given arguments."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def valid(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(default_yaml(), encoding="utf-8")
    return path


def test_a_valid_file(halideflow, valid):
    result = halideflow("validate", valid)
    assert result.exit_code == 0
    assert result.stdout == (
        f"{valid}: valid; campaign my-campaign, results in {valid.with_suffix('')}; "
        "`halideflow plan` counts its candidates\n"
    )
    assert result.stderr == ""


def test_a_valid_file_as_json(halideflow, valid):
    result = halideflow("validate", valid, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "file": str(valid),
        "valid": True,
        "problems": [],
        "name": "my-campaign",
        "results_dir": str(valid.with_suffix("")),
    }


def test_problems_go_to_stderr(halideflow, valid):
    text = valid.read_text(encoding="utf-8")
    valid.write_text(text.replace('name: "chgnet"', "name: vaps"), encoding="utf-8")
    line = text[: text.index('name: "chgnet"')].count("\n") + 1
    result = halideflow("validate", valid)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        f'{valid}: 1 problem\n  line {line}, engine.name: found "vaps"; did you mean vasp? '
        'allowed: "chgnet", "vasp" or "rehearsal"\n'
    )


def test_problems_as_json(halideflow, valid):
    valid.write_text(default_yaml() + "oops: 1\n", encoding="utf-8")
    result = halideflow("validate", valid, "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    document = json.loads(result.stdout)
    (problem,) = document["problems"]
    assert document["valid"] is False
    assert (problem["line"], problem["column"], problem["key"]) == (
        default_yaml().count("\n") + 1,
        1,
        "oops",
    )
    assert problem["message"].startswith("unknown key; allowed: name, ")


def test_a_missing_file(halideflow, tmp_path):
    result = halideflow("validate", tmp_path / "no.yaml")
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path / 'no.yaml'}: cannot be read: no such file or directory\n"


def test_validate_writes_nothing(halideflow, valid):
    before = {path: path.stat().st_mtime_ns for path in valid.parent.rglob("*")}
    halideflow("validate", valid)
    assert {path: path.stat().st_mtime_ns for path in valid.parent.rglob("*")} == before


def test_schema(halideflow):
    result = halideflow("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()


def test_defaults(halideflow):
    result = halideflow("schema", "--defaults")
    assert result.exit_code == 0
    assert result.stdout == default_yaml()
