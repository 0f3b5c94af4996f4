"""The first page of a campaign, and where its numbers come from."""

from __future__ import annotations

import csv
import io
import json

import pytest
from campaigns import change, halideflow, ranking
from dashboards import DONE, FAILED, client_of

from workflows.cli.results import open_results
from workflows.dashboard.pages.overview import overview_view
from workflows.dashboard.pages.provenance import provenance_view

EVIL = "<script>alert('x')</script>"


def view_of(config):
    results = open_results(config)
    return overview_view(results, results.ranking(), config)


def test_it_says_what_the_commands_say(finished):
    view = view_of(finished)
    status = json.loads(halideflow("status", finished, "--json").stdout)
    assert {state: n for state, n in view.totals if n} == {
        state: n for state, n in status["totals"].items() if n
    }
    assert view.n_jobs == sum(status["totals"].values())
    assert view.n_unfinished == 0
    assert view.goes_on_with is None
    assert view.left is None
    assert [row.id for row in view.leading] == [
        row["id"] for row in ranking(finished) if row["rank"] is not None
    ]
    assert view.funnel[0].entered == view.n_candidates == 3
    assert sum(row.n_jobs for row in view.failures) == status["totals"]["failed"]


def test_its_page(finished):
    page = client_of(finished).get("/c/campaign/").text
    assert ">finished<" in page
    assert DONE in page
    assert "INVALID" in page or "UNUSABLE" in page
    assert "E above hull ≤ 0.005 eV/atom" in page


def test_jobs_that_nobody_runs_are_told_with_the_command(copy):
    change(copy, ("update jobs set state = 'running' where stage = 'dynamics'",))
    view = view_of(copy)
    assert view.goes_on_with == f"halideflow run {copy}"
    page = client_of(copy).get("/c/campaign/").text
    assert "not being run" in page
    assert f"halideflow run {copy}" in page


def test_holds_are_told(copy):
    assert halideflow("pause", copy, "--stage", "dynamics").returncode in (0, 4)
    assert "<strong>Paused</strong>" in client_of(copy).get("/c/campaign/").text


@pytest.mark.parametrize("ending", ["csv", "json"])
@pytest.mark.parametrize("table", ["funnel", "stages"])
def test_its_tables_as_files(finished, table, ending):
    answer = client_of(finished).get(f"/c/campaign/{table}.{ending}")
    assert f'filename="{table}.{ending}"' in answer.headers["content-disposition"]
    rows = (
        json.loads(answer.text)
        if ending == "json"
        else list(csv.DictReader(io.StringIO(answer.text)))
    )
    view = view_of(finished)
    if table == "funnel":
        assert [int(row["entered"]) for row in rows] == [step.entered for step in view.funnel]
    else:
        assert [row["stage"] for row in rows] == [row.stage for row in view.stages]


def test_what_comes_from_a_campaign_is_escaped(copy):
    change(
        copy,
        ("update jobs set code = ?, message = ? where state = 'failed'", (EVIL, EVIL)),
        ("insert into notes values ('driver', ?, 1.0)", (EVIL,)),
        ("update runs set versions = json_set(versions, '$.evil', ?)", (EVIL,)),
        ("update runs set config = json_set(config, '$.engine.name', ?)", (EVIL,)),
        ("insert into holds values (?, ?, 1.0)", (EVIL, EVIL)),
    )
    client = client_of(copy)
    for page in ("", "provenance"):
        text = client.get(f"/c/campaign/{page}").text
        assert EVIL not in text
        assert "&lt;script&gt;" in text


def test_runs_and_what_changed_between_them(copy):
    text = copy.read_text()
    copy.write_text(text.replace("[300.0, 600.0]", "[300.0]"))
    pending = provenance_view(open_results(copy, quiet=True)).pending
    assert [(c.key, c.before, c.after) for c in pending] == [
        ("dynamics.temperatures_K", "[300.0, 600.0]", "[300.0]")
    ]
    halideflow("run", copy)
    view = provenance_view(open_results(copy))
    assert view.pending == ()
    assert [run.number for run in view.runs] == [2, 1]
    assert [c.key for c in view.runs[0].config_changes] == ["dynamics.temperatures_K"]
    assert view.runs[1].config_changes == ()
    page = client_of(copy).get("/c/campaign/provenance").text
    assert "Run 2" in page
    assert "dynamics.temperatures_K" in page


def test_what_it_was_made_with_and_what_to_cite(finished):
    client = client_of(finished)
    part = client.get("/c/campaign/provenance/ingredients").text
    weights = "d14ab7c0f093efe64b60a7bcd540bca10e74fb7f46c86108a079af60524659d1"
    assert weights in part
    assert "10.1038/s42256-023-00716-3" in part
    bibtex = client.get("/c/campaign/citations.bib").text
    assert bibtex.count("@") > 8
    assert "10.1038/s42256-023-00716-3" in bibtex


def test_the_config_that_was_run(finished):
    answer = client_of(finished).get("/c/campaign/campaign.yaml")
    assert answer.content == (finished.parent / "campaign" / "campaign.yaml").read_bytes()
    assert FAILED.split("-")[1] in answer.text
