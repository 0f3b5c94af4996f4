from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from screening.errors import InvalidInput
from workflows.cluster.project import project_of
from workflows.cluster.settings import ClusterSettings, load_cluster
from workflows.execution_settings import ExecutionSettings

EXAMPLES = Path(__file__).parents[3] / "configs" / "clusters"
GOOD = """\
name: mine
scheduler: slurm
environment: /home/me/venv
scratch: /scratch/me
workers:
  cpu:
    queue: standard
"""


def write(tmp_path, text):
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(tmp_path, text):
    with pytest.raises(InvalidInput) as caught:
        load_cluster(write(tmp_path, text))
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_become_projects_of_jobflow_remote(path):
    from jobflow_remote.config.base import Project

    cluster = load_cluster(path)
    project = Project.model_validate(project_of(cluster))
    assert list(project.workers) == list(cluster.workers)
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_there_are_examples_of_slurm_pbs_and_a_laptop():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {"slurm", "pbs", "laptop"}
    assert load_cluster(EXAMPLES / "laptop.yaml").host is not None


def test_the_shipped_schema_is_that_of_the_settings():
    """`halideflow cluster schema > configs/clusters/schema.json` brings it up to date."""
    shipped = json.loads((EXAMPLES / "schema.json").read_text())
    assert shipped.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert shipped == ClusterSettings.model_json_schema()


def test_every_key_says_what_it_is():
    schema = ClusterSettings.model_json_schema()
    blocks = {"ClusterSettings": schema, **schema["$defs"]}
    for name, block in blocks.items():
        for key, field in block["properties"].items():
            described = "description" in field or "$ref" in field
            assert described, f"{name}.{key}"


def test_without_a_host_the_environment_is_the_one_that_runs(tmp_path):
    cluster = load_cluster(write(tmp_path, GOOD.replace("environment: /home/me/venv\n", "")))
    assert cluster.environment == sys.prefix
    assert cluster.python == f"{sys.prefix}/bin/python"
    assert cluster.default_worker == "cpu"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: mine", "name: my cluster"), 'line 1, name: found "my cluster"; allowed: text'),
        (("slurm", "slrum"), 'line 2, scheduler: found "slrum"; did you mean slurm?'),
        (("slurm", "lsf"), 'scheduler: found "lsf"; allowed: "slurm", "pbs", "sge" or "shell"'),
        (("scratch: /scratch/me\n", ""), "scratch: required key is missing; needed: text"),
        (("/scratch/me", "$SCRATCH/jobs"), "line 4, scratch: .* as `echo \\$SCRATCH/jobs` prints"),
        (("/scratch/me", "~/jobs"), "line 4, scratch: .* jobflow-remote expands nothing"),
        (("/scratch/me", "jobs"), 'scratch: found "jobs"; needed: an absolute folder'),
        (("/scratch/me", "/my jobs"), "scratch: .* without ' ', which job scripts"),
        (("environment: /home/me/venv", "host: {address: x}"), "line 3, host: environment is miss"),
        (("queue: standard", "partition: a"), "line 7, workers.cpu.partition: is called queue"),
        (("queue: standard", "quue: a"), "workers.cpu.quue: unknown key; did you mean queue?"),
        (("queue: standard", "max_jobs: 0"), "cpu.max_jobs: found 0; allowed: a whole number >= 1"),
        (("queue: standard", "options: {constrain: a}"), "cpu.options.constrain: unknown; allowed"),
        (("queue: standard", "options: {nodes: 2}"), "options.nodes: comes from execution.resour"),
        (("queue: standard", "options: {qos: a}"), "line 7, workers.cpu.options.qos: write it as"),
        (("queue: standard", "options: {qout_path: a}"), "options.qout_path: unknown"),
        (("queue: standard", "parallel_environment: a"), "parallel_environment: is for sge, not"),
        (
            ("  cpu:\n    queue: standard\n", "  c u: {}\n"),
            'workers: found "c u"; allowed: letters',
        ),
        (("workers:\n  cpu:\n    queue: standard\n", "workers: {}\n"), "line 5, workers: found no"),
        (("name", "queue_database: {password: x}\nname"), "queue_database.password: unknown key"),
        (("name", "queue_database: {port: 0}\nname"), "line 1, queue_database.port: found 0;"),
        (("name", "polling_s: 0\nname"), "polling_s: found 0; allowed: a number >= 1 and <= 600"),
        (("name", "host: {adress: a, address: b}\nname"), "host.adress: .* mean address?"),
    ],
)
def test_problems_are_named_with_line_and_key(tmp_path, change, message):
    with pytest.raises(InvalidInput, match=message.replace("?", r"\?")):
        load_cluster(write(tmp_path, GOOD.replace(*change, 1)))


def test_all_problems_are_named_at_once(tmp_path):
    told = complaint(tmp_path, "name: a b\nscheduler: x\nworkers: []\n")
    assert told.startswith(f"{tmp_path / 'cluster.yaml'}: 4 problems\n")


@pytest.mark.parametrize(
    ("scheduler", "worker", "message"),
    [
        ("pbs", "qos: high", "workers.a.qos: is for slurm, not pbs"),
        ("sge", "qos: high", "workers.a.qos: is for slurm, not sge"),
        ("shell", "queue: main", "workers.a.queue: is for queues; scheduler shell has none"),
        ("pbs", "options: {constraint: gpu}", "options.constraint: unknown; allowed: group_list"),
    ],
)
def test_what_a_scheduler_does_not_know(tmp_path, scheduler, worker, message):
    text = f"name: a\nscheduler: {scheduler}\nscratch: /a\nworkers: {{a: {{{worker}}}}}\n"
    assert message in complaint(tmp_path, text)


@pytest.mark.parametrize(
    ("cluster", "campaign", "expected"),
    [
        ((None, None), (None, None), (None, None)),
        (("a", "b"), (None, None), ("a", "b")),
        (("a", "b"), ("c", None), ("c", None)),
        (("a", "b"), ("c", "d"), ("c", "d")),
        (("a", "b"), (None, "d"), ("a", "d")),
        ((None, "b"), (None, None), (None, "b")),
    ],
)
def test_commands_of_the_cluster_stand_in_for_those_of_the_campaign(cluster, campaign, expected):
    keys = ("vasp_command", "vasp_gamma_command")
    worker = {"name": "a", "scheduler": "shell", "scratch": "/a", "workers": {"a": {}}}
    settings = ClusterSettings(**worker, **dict(zip(keys, cluster, strict=True)))
    merged = settings.execution(ExecutionSettings(**dict(zip(keys, campaign, strict=True))))
    assert tuple(getattr(merged, key) for key in keys) == expected


def test_the_short_form_holds_all_that_was_given(tmp_path):
    for path in EXAMPLES.glob("*.yaml"):
        cluster = load_cluster(path)
        assert ClusterSettings(**json.loads(json.dumps(cluster.short()))) == cluster
    assert load_cluster(write(tmp_path, GOOD)).short() == {
        "name": "mine",
        "scheduler": "slurm",
        "environment": "/home/me/venv",
        "scratch": "/scratch/me",
        "workers": {"cpu": {"queue": "standard"}},
    }
