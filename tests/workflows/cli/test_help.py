import json
import os
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from screening.errors import MissingReference
from workflows.cli import app, common

COMMANDS = [
    "cancel", "cite", "dashboard", "doctor", "enumerate", "explain", "export", "failures",
    "interfaces", "jobs", "logs", "md", "pause", "plan", "prototypes", "rank", "report", "resume",
    "retry", "run", "schema", "show", "status", "validate", "window",
]  # fmt: skip
HEAVY = {
    "ase", "atomate2", "chgnet", "jobflow", "maggma", "matplotlib", "numpy", "pandas",
    "pymatgen", "scipy", "torch",
}  # fmt: skip
MAIN = "import sys; from workflows.cli import main; sys.argv[0] = 'halideflow'; main()"
ASK_FOR_HELP = """
import json, sys
from workflows.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as done:
        assert not done.code, done.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def halideflow(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


def test_help_and_version_import_nothing_heavy():
    asked = [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)]
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_help_lists_the_commands_and_the_exit_codes():
    done = halideflow("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    for code in ("0 done", "1 error", "2 usage or bad config", "3 work still pending"):
        assert code in done.stdout
    assert "4 finished with failures" in done.stdout
    assert "--install-completion" in done.stdout
    assert done.stderr == ""


def test_version():
    assert halideflow("--version").stdout.startswith("halideflow 0.")


def test_shell_completion():
    done = halideflow(
        _HALIDEFLOW_COMPLETE="complete_bash", COMP_WORDS="halideflow va", COMP_CWORD="1"
    )
    assert done.stdout.split() == ["validate"]


def test_no_color_is_honoured():
    coloured = halideflow("--help", FORCE_COLOR="1")
    plain = halideflow("--help", FORCE_COLOR="1", NO_COLOR="1")
    colour = re.compile(r"\x1b\[[0-9;]*3[1-7]m")
    assert colour.search(coloured.stdout)
    assert not colour.search(plain.stdout)


@pytest.mark.parametrize("arguments", [["vlidate"], ["validate"], ["validate", "a", "b"]])
def test_wrong_usage_exits_with_2(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == common.ExitCode.BAD_INPUT
    assert result.stdout == ""


@pytest.fixture
def failing_app():
    app = typer.Typer(cls=common.Commands, pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None:
        """Keep `app` a group."""

    @app.command()
    def fail(kind: str) -> None:
        if kind == "expected":
            raise MissingReference("no reference phase of Xe; add one")
        if kind == "unreadable":
            open("/nowhere/at/all.txt")  # noqa: PTH123, SIM115
        if kind == "unnamed":
            raise PermissionError("of some other kind")
        if kind == "pending":
            raise typer.Exit(common.ExitCode.PENDING)
        raise ZeroDivisionError("a bug")

    return app


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("expected", "no reference phase of Xe; add one\n"),
        ("unreadable", "/nowhere/at/all.txt: No such file or directory\n"),
    ],
)
def test_expected_failures_are_one_message_and_exit_code_2(failing_app, kind, message):
    result = CliRunner().invoke(failing_app, ["fail", kind])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)


@pytest.mark.parametrize(
    ("kind", "error"), [("bug", ZeroDivisionError), ("unnamed", PermissionError)]
)
def test_bugs_keep_their_traceback(failing_app, kind, error):
    result = CliRunner().invoke(failing_app, ["fail", kind])
    assert result.exit_code == common.ExitCode.ERROR
    assert isinstance(result.exception, error)


def test_exit_codes_of_commands_pass_through(failing_app):
    assert CliRunner().invoke(failing_app, ["fail", "pending"]).exit_code == 3


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="Out of range float"):
        common.print_json({"conductivity": float("nan")})
