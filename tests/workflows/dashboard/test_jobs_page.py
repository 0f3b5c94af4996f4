"""The list of jobs: what it says, what can be asked of it, what comes as a file."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from browsers import CHROMIUM, chromium, dashboard
from campaigns import change
from dashboards import DONE, FAILED, REJECTED, client_of
from playwright.sync_api import expect

from workflows.cli.results import open_results
from workflows.dashboard.pages import jobs as page_of_jobs

EVIL = "<script>alert(1)</script>\"'><a href=javascript:alert(2)>"


def page(config, query="", **settings):
    answer = client_of(config, **settings).get(f"/c/campaign/jobs{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def listed(config, query=""):
    return client_of(config).get(f"/c/campaign/jobs.json{query}").json()


def rows(html):
    """Text of the cells of each row of the table."""
    body = html.partition('<table class="data jobs">')[2].partition("<tbody>")[2]
    found = re.findall(r"<tr id=.*?>(.*?)</tr>", body.partition("</tbody>")[0], re.S)
    return [[text_of(cell) for cell in re.split(r"</t[dh]>", row)[:-1]] for row in found]


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def uuid_of(config, candidate, stage):
    (job,) = listed(config, f"?candidate={candidate}&stage={stage}")[:1]
    return job["uuid"]


def test_what_failed_comes_first_with_its_cause_in_the_list(finished):
    first = rows(page(finished))[0]
    assert first[:2] == ["relax", FAILED]
    assert first[2].startswith("failed UNUSABLE_STRUCTURE Cl (atom 5) and Cl (atom")
    html = page(finished)
    assert f'href="/c/campaign/jobs/{uuid_of(finished, FAILED, "relax")}"' in html
    assert f'href="/c/campaign/candidates/{FAILED}"' in html


def test_temperatures_are_told_apart(finished):
    assert {row[3] for row in rows(page(finished, "?stage=dynamics"))} == {"300", "600"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?stage=relax", lambda job: job["stage"] == "relax"),
        (f"?candidate={DONE}", lambda job: job["candidate"] == DONE),
        ("?state=rejected", lambda job: job["state"] == "rejected"),
        ("?code=UNUSABLE_STRUCTURE", lambda job: job["code"] == "UNUSABLE_STRUCTURE"),
        ("?outcome=never", lambda job: job["state"] == "failed"),
        ("?code=OUT_OF_MEMORY", lambda job: False),
    ],
)
def test_filters_are_in_the_address(finished, query, expected):
    shown = {job["uuid"] for job in listed(finished, query)}
    assert shown == {job["uuid"] for job in listed(finished) if expected(job)}
    assert len(rows(page(finished, query))) == len(shown)


def test_what_needed_several_attempts_and_succeeded_is_apart(copy):
    relaxed = uuid_of(copy, DONE, "relax")
    change(
        copy,
        ("update jobs set attempts = 3 where uuid = ?", (relaxed,)),
        ("update jobs set attempts = 2 where stage in ('rank', 'transport')",),  # begun anew
        ("update jobs set attempts = 4 where state = 'failed'",),
    )
    assert [job["uuid"] for job in listed(copy, "?outcome=again")] == [relaxed]
    assert [job["state"] for job in listed(copy, "?outcome=never")] == ["failed"]


@pytest.mark.parametrize(
    "query",
    [
        "?stage=relaxation",
        "?state=fail",
        "?code=NO",
        "?outcome=x",
        "?sort=uuid",
        "?page=0",
        "?page=x",
    ],
)
def test_an_address_that_asks_for_nothing_there_is_gets_one_message(finished, query):
    answer = client_of(finished).get(f"/c/campaign/jobs{query}")
    assert answer.status_code == 400
    name, _, value = query[1:].partition("=")
    assert f"{name}={value}:" in answer.text


@pytest.mark.parametrize("text", ["9" * 5000, "1" * 10, "²", "-1", ""])
def test_a_page_has_a_number_of_a_few_digits(finished, text):
    for address in ("jobs", "rankings"):
        answer = client_of(finished).get(f"/c/campaign/{address}", params={"page": text})
        assert answer.status_code == 400
        assert f"page={text[:9]}" in answer.text
        assert ": needed is a number from 1." in answer.text
        assert "9" * 100 not in answer.text.partition("<main")[2]


def test_a_candidate_that_is_not_there_is_answered_with_the_nearest(finished):
    html = page(finished, "?candidate=kcl")
    assert "No candidate is called kcl" in html
    assert f"candidate={DONE}" in html
    assert f">{REJECTED}<" not in html
    assert "No job is like that" in page(finished, "?candidate=zzzzzz")


@pytest.mark.parametrize("sort", ["ran", "-ran", "candidate", "-attempts", "temperature"])
def test_a_click_on_a_header_sorts(finished, sort):
    name = sort.removeprefix("-")
    html = page(finished, f"?sort={sort}")
    order = "descending" if sort.startswith("-") else "ascending"
    assert html.count("aria-sort=") == 1
    assert f'aria-sort="{order}"' in html
    key = {"ran": "ran_s", "temperature": "temperature_K"}.get(name, name)
    values = [job[key] for job in listed(finished, f"?sort={sort}")]
    known = [value for value in values if value is not None]
    assert values == [
        *sorted(known, reverse=sort.startswith("-")),
        *[None] * (len(values) - len(known)),
    ]
    other = name if sort.startswith("-") else f"-{name}"
    assert f"sort={other}" in html


def test_pages_hold_so_many_and_files_hold_all(finished, monkeypatch):
    everything = listed(finished, "?sort=candidate")
    monkeypatch.setattr(page_of_jobs, "N_ON_A_PAGE", 5)
    pages = [rows(page(finished, f"?sort=candidate&page={n}")) for n in (1, 2, 3)]
    assert [len(found) for found in pages] == [5, 5, len(everything) - 10]
    assert [row[0] for found in pages for row in found] == [job["stage"] for job in everything]
    assert listed(finished, "?sort=candidate&page=2") == everything
    assert "page 2 of 3" in page(finished, "?page=2")
    assert rows(page(finished, "?page=99")) == rows(page(finished, "?page=3"))


def test_csv_and_json_hold_the_same(finished):
    answer = client_of(finished).get("/c/campaign/jobs.csv?state=failed")
    assert answer.headers["content-disposition"] == 'attachment; filename="jobs.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.text))
    (job,) = listed(finished, "?state=failed")
    assert row["message"] == job["message"]
    assert float(row["ran_s"]) == pytest.approx(job["ran_s"])
    assert row["waited_s"] == ""
    assert job["waited_s"] is None


def test_counts_are_those_of_the_command(finished):
    html = page(finished)
    by_state = {}
    for states in open_results(finished).status().values():
        for state, number in states.items():
            by_state[state] = by_state.get(state, 0) + number
    for state, number in by_state.items():
        assert f">{number} {state}</a>" in html


def test_a_job_in_a_queue_is_shown_with_its_place_there(copy):
    assert ">where<" not in page(copy)
    relaxed = uuid_of(copy, DONE, "relax")
    change(
        copy,
        (
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "queue_id, run_dir, state, message) values ('q', 'relax', 'big', 4, 2, 1000, '4711', "
            "'/nowhere', 'running', 'Priority')",
        ),
        ("insert into queue_job_parts values ('q', ?, 1)", (relaxed,)),
        ("update jobs set state = 'running', started_at = 1060 where uuid = ?", (relaxed,)),
    )
    (row,) = rows(page(copy, "?state=running"))
    assert "big 4711" in row
    assert "1 min" in row  # it waited
    assert "Priority" in row[2]
    assert listed(copy, "?state=running")[0]["waited_s"] == 60


def test_what_waits_says_why(copy):
    change(
        copy,
        ("update jobs set state = 'waiting' where stage in ('dynamics', 'rank')",),
        ("insert into holds values ('dynamics', null, 0)",),
    )
    html = page(copy)
    assert "<strong>Paused</strong> since" in html
    found = {row[0]: row[2] for row in rows(html)}
    assert found["dynamics"].startswith("paused paused since 1970")
    assert "waits for" in found["rank"]


def test_hostile_names_stay_text(copy):
    change(
        copy,
        (
            "update jobs set candidate = ?, message = ?, code = ? where state = 'failed'",
            (EVIL,) * 3,
        ),
    )
    for query in ("", "?state=failed"):
        html = page(copy, query)
        assert "<script>alert" not in html
        assert "<a href=javascript" not in html
        assert "&lt;script&gt;alert(1)" in html
    answer = client_of(copy).get("/c/campaign/jobs", params={"candidate": EVIL, "code": EVIL})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    unknown = client_of(copy).get("/c/campaign/jobs", params={"candidate": f"{EVIL}x"})
    assert "<script>alert" not in unknown.text
    assert json.loads(client_of(copy).get("/c/campaign/jobs.json?state=failed").text)


def test_without_scripts_the_filter_is_a_form(finished):
    html = page(finished, "?sort=-ran&stage=relax")
    assert '<form id="filter" method="get" action="/c/campaign/jobs"' in html
    assert '<input type="hidden" name="sort" value="-ran" form="filter">' in html
    assert '<option value="relax" selected>' in html


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_in_a_browser_the_filter_changes_the_table_and_the_address(copy):
    with dashboard(copy) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}c/campaign/jobs")
        table = page.locator("table.jobs tbody tr")
        n_all = table.count()
        page.get_by_label("Stage").select_option("dynamics")
        page.locator("table.jobs tbody tr", has_text="relax").first.wait_for(state="detached")
        expect(table).to_have_count(2)
        page.wait_for_url("**/jobs?stage=dynamics")
        page.get_by_role("link", name="ran", exact=True).click()
        page.locator('th[aria-sort="descending"]').wait_for()
        assert "stage=dynamics" in page.url
        assert "sort=-ran" in page.url
        page.get_by_label("State").select_option("done")  # keeps how it is sorted
        page.wait_for_url("**sort=-ran**")
        page.wait_for_url("**state=done**")
        change(copy, ("update jobs set state = 'failed', message = 'it broke' where 1",))
        page.get_by_text("No job is like that").wait_for(timeout=15_000)  # by itself
        page.go_back()
        page.go_back()
        page.go_back()
        page.get_by_text("it broke").first.wait_for()
        expect(table).to_have_count(n_all)
        page.get_by_label("Candidate").focus()
        page.keyboard.type(DONE)
        page.wait_for_timeout(6000)  # it looked again meanwhile
        assert page.evaluate("document.activeElement.id") == "candidate"
        assert page.get_by_label("Candidate").input_value() == DONE
