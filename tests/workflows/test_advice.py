"""No code of a failure without what it means and what to do."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import screening.errors
import workflows
from screening.errors import ScreeningError
from workflows.advice import KNOWN_CODES, advice_for, by_code
from workflows.execution.jobs import WORKER_DIED

PACKAGES = [Path(screening.errors.__file__).parent, Path(workflows.__file__).parent]

CODE = re.compile(r"[A-Z]+(_[A-Z]+)*")


def codes_of(kind):
    yield kind.code
    for below in kind.__subclasses__():
        yield from codes_of(below)


def written_codes():
    """Codes in the source: CODE = "CODE", code = "CODE" and code="CODE"."""
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.Assign(
                        targets=[ast.Name(id=name)], value=ast.Constant(value=str() as code)
                    ) if name in (code, "code") and CODE.fullmatch(code):
                        yield code
                    case ast.keyword(arg="code", value=ast.Constant(value=str() as code)) if (
                        CODE.fullmatch(code)
                    ):
                        yield code


def test_codes_are_found():
    written = set(written_codes())
    assert {"WALLTIME", "LOST", "CANCELLED", "OUT_OF_MEMORY", WORKER_DIED} <= written
    assert {"RUN_EXPLODED", "MISSING_POTCAR"} <= set(codes_of(ScreeningError))


@pytest.mark.parametrize(
    "code", sorted({*codes_of(ScreeningError), *written_codes(), "UNEXPECTED", "EXCEPTION"})
)
def test_every_code_has_advice(code):
    assert code in KNOWN_CODES


@pytest.mark.parametrize("code", sorted(KNOWN_CODES))
@pytest.mark.parametrize("stage", ["relax", "stability", None])
def test_advice_reads_well(code, stage):
    for on_cluster in (False, True):
        advice = advice_for(code, stage, on_cluster)
        for sentence in (advice.meaning, advice.action):
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert not re.search(r"[{}]|\.\.", sentence)
        assert re.match(r"halideflow (run|submit|retry) CAMPAIGN", advice.command)


def test_the_command_is_that_of_where_the_campaign_runs():
    assert advice_for("CRASHED", "relax").command == "halideflow run CAMPAIGN --retry-failed"
    on_cluster = advice_for("CRASHED", "relax", on_cluster=True)
    assert on_cluster.command == "halideflow retry CAMPAIGN --reason CRASHED"
    assert advice_for("WALLTIME", "relax").command == "halideflow run CAMPAIGN"  # goes on by itself
    assert advice_for("WALLTIME", "relax", on_cluster=True).command == "halideflow submit CAMPAIGN"


def test_resources_are_those_of_the_stage():
    assert "execution.resources.quench.memory_GB" in advice_for("OUT_OF_MEMORY", "quench").action
    assert "execution.resources.STAGE.memory_GB" in advice_for("OUT_OF_MEMORY", None).action


def test_keys_that_are_named_exist():
    from workflows.config import CampaignConfig

    schema = CampaignConfig.model_json_schema()

    def has(node, names):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        kinds = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
        if not names:
            return True
        for kind in kinds:
            if kind is not node and has(kind, names):
                return True
            if names[0] in kind.get("properties", {}):
                return has(kind["properties"][names[0]], names[1:])
        return False

    named = set()
    for code in KNOWN_CODES:
        action = advice_for(code, "relax").action
        named |= set(
            re.findall(r"\b(?:relax|dynamics|engine|execution|stability)\.[\w.]*\w", action)
        )
    assert "execution.resources.relax.memory_GB" in named
    for key in named:
        names = key.removesuffix(".NSW").split(".")
        assert has(schema, names), key


def test_an_unknown_code_says_so():
    assert "knows nothing" in advice_for("FROM_THE_FUTURE").meaning


def job(code, stage):
    return SimpleNamespace(code=code, stage=stage)


def test_failures_are_grouped_the_most_frequent_first():
    jobs = [job("KILLED", "relax"), job("CRASHED", "dynamics"), job("CRASHED", "dynamics")]
    crashed, killed = by_code(jobs)
    assert (crashed.code, len(crashed.jobs), killed.code) == ("CRASHED", 2, "KILLED")
    assert crashed.advice == advice_for("CRASHED", "dynamics")
