"""The whole dashboard in a real browser, on campaigns that are finished and that run."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browsers import CHROMIUM, SCHEMES, WIDTHS_PX, Visit, chromium, dashboard
from campaigns import SMALL, halideflow, write_campaign
from dashboards import DONE, FAILED
from playwright.sync_api import expect

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
PAGES = ("", "rankings", f"candidates/{DONE}", "jobs", "failures", "provenance")
LIVE_MS = 15_000
"""Pages look again every five seconds."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def at_finished(finished):
    with dashboard(finished) as address:
        yield f"{address}c/campaign/"


def jobs_of(config, *options):
    return json.loads(halideflow("jobs", config, "--json", *options).stdout or "[]")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Config of a campaign whose dynamics will run for longer than any test."""
    config = write_campaign(tmp_path_factory.mktemp("running"), SMALL, temperatures=(300.0,))
    text = config.read_text().replace("production_ps: 0.2", "production_ps: 500")
    config.write_text(text.replace("checkpoint_ps: 0.02", "checkpoint_ps: 0.1"))
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "run", str(config), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + 240
    while not jobs_of(config, "--stage", "dynamics", "--state", "running"):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(1)
    yield config
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


@pytest.fixture(scope="module")
def at_running(running):
    os.environ["HALIDEFLOW_DASHBOARD_TOKEN"] = "for-the-tests"
    with dashboard(running, "--allow-actions") as address:
        del os.environ["HALIDEFLOW_DASHBOARD_TOKEN"]
        yield address


@pytest.fixture
def visit(browser):
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        made = Visit.of(context)
        yield made
        assert made.complaints == []


@pytest.fixture
def inside(visit, at_running):
    """A visitor of the running campaign who has shown the token; the address of its pages."""
    visit.go(at_running)
    return f"{at_running.split('?')[0]}c/campaign/"


def query_of(page):
    return parse_qs(urlsplit(page.url).query)


def shown_ids(page):
    return page.locator("#ranking tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")


@pytest.mark.parametrize("width", WIDTHS_PX)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_of_a_finished_campaign_is_clean(
    browser, at_finished, finished, tmp_path, scheme, width
):
    failed = jobs_of(finished, "--state", "failed")[0]["uuid"]
    viewport = {"width": width, "height": 900}
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:
        visit = Visit.of(context)
        for page in (*PAGES, f"candidates/{FAILED}", f"jobs/{failed}", "candidates/nothing"):
            visit.go(at_finished + page)
            if page == "candidates/nothing":  # browsers tell of every 404
                visit.complaints.clear()
            visit.check(tmp_path / f"{page.split('/')[0] or 'overview'}.png")


@pytest.mark.parametrize("width", WIDTHS_PX)
def test_every_page_of_a_running_campaign_is_clean(browser, at_running, running, tmp_path, width):
    job = jobs_of(running, "--stage", "dynamics")[0]["uuid"]
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        visit = Visit.of(context)
        visit.go(at_running)
        assert "token" not in visit.page.url
        for page in (*PAGES, f"jobs/{job}"):
            visit.go(f"{at_running.split('?')[0]}c/campaign/{page}")
            visit.check(tmp_path / f"{page.split('/')[0] or 'overview'}.png")


def test_filters_and_order_of_the_ranking_are_in_the_address(visit, at_finished):
    page = visit.go(f"{at_finished}rankings")
    everything = shown_ids(page)
    page.get_by_label("Ion").select_option("Na")
    expect(page.locator("#ranking tbody tr")).to_have_count(1)
    assert query_of(page)["ion"] == ["Na"]
    page.get_by_label("Ion").select_option("")
    expect(page.locator("#ranking tbody tr")).to_have_count(len(everything))
    page.locator("#ranking thead a", has_text="window").click()
    expect(page.locator("#ranking th[aria-sort]")).to_have_count(1)
    order, address = shown_ids(page), page.url
    page.go_back()
    expect(page.locator("#ranking th[aria-sort]")).to_have_count(0)
    other = visit.go(address)
    assert shown_ids(other) == order
    with other.expect_download() as download:
        other.locator("#ranking").get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [row["id"] for row in rows] == order


def test_a_box_in_the_plot_filters_the_table(visit, at_finished):
    page = visit.go(f"{at_finished}rankings?y=D_600K")
    everything = shown_ids(page)
    plot = page.locator("figure.plot .nsewdrag").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=5)
    page.mouse.up()
    expect(page.get_by_role("link", name="without the box")).to_be_visible()
    assert {"min_window_V", "max_window_V", "min_y", "max_y", "bounds"} <= query_of(page).keys()
    assert shown_ids(page) == [DONE]
    page.get_by_role("button", name="Clear box").click()
    expect(page.locator("#ranking tbody tr")).to_have_count(len(everything))


def test_from_a_failure_to_its_cause_in_two_clicks(visit, at_finished, finished):
    (failed,) = jobs_of(finished, "--state", "failed")
    page = visit.go(at_finished)
    page.locator("main").get_by_role("link", name=re.compile("failed")).first.click()
    page.locator("tbody tr", has_text=FAILED).get_by_role("link").first.click()
    page.wait_for_url(f"**/jobs/{failed['uuid']}*")
    main = page.locator("main")
    expect(main).to_contain_text(failed["code"])
    expect(main).to_contain_text(failed["message"])
    expect(main.locator("code", has_text="halideflow run").first).to_be_visible()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_offers_is_there(visit, at_finished, page):
    visit.go(at_finished + page)
    files = visit.page.locator("a[download]").evaluate_all("links => links.map(link => link.href)")
    if page != "failures":
        assert files
    for address in dict.fromkeys(files):
        answer = visit.page.request.get(address)
        assert answer.status == 200, address
        assert len(answer.body()) > 10, address
        assert "attachment" in answer.headers["content-disposition"], address
        start = answer.body()[:5]
        if urlsplit(address).path.endswith(".pdf"):
            assert start == b"%PDF-"
        if urlsplit(address).path.endswith(".json"):
            json.loads(answer.body())


def test_keys_alone_get_everywhere(visit, at_finished):
    page = visit.go(at_finished)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Rankings").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/rankings")
    visit.settle()
    header = page.locator("#ranking thead a", has_text="candidate")
    header.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ranking th[aria-sort]")).to_contain_text("candidate")
    expect(header).to_be_focused()
    assert "sort" in query_of(page)


def test_pages_go_on_while_one_reads(visit, inside, running):
    page = visit.go(f"{inside}rankings")
    page.set_viewport_size({"width": 600, "height": 400})
    field = page.get_by_label("Candidate, formula or elements")
    field.press_sequentially("Cl")
    page.wait_for_url("**q=Cl*")
    page.mouse.wheel(0, 150)
    page.wait_for_timeout(300)
    before = page.evaluate("scrollY")
    assert before > 0
    row = page.locator("#ranking tr", has_text="LiCl")
    expect(row).not_to_contain_text("failed")
    assert halideflow("cancel", running, "--candidate", "LiCl-licl-a-1", "--yes").returncode in (
        0,
        3,
        4,
    )
    expect(row).to_contain_text("failed", timeout=LIVE_MS)
    assert page.evaluate("scrollY") == before
    expect(field).to_be_focused()
    expect(field).to_have_value("Cl")
    assert query_of(page)["q"] == ["Cl"]


def test_counts_and_open_parts_of_a_page_stay_while_it_changes(visit, inside, running):
    page = visit.go(f"{inside}jobs?stage=dynamics")
    expect(page.locator("#jobs")).not_to_contain_text("paused")
    assert halideflow("pause", running, "--stage", "dynamics").returncode in (0, 3)
    expect(page.locator("#jobs")).to_contain_text("paused", timeout=LIVE_MS)
    assert halideflow("resume", running, "--stage", "dynamics").returncode in (0, 3)
    expect(page.locator("#jobs")).not_to_contain_text("paused since", timeout=LIVE_MS)


def test_a_log_and_the_energies_grow(visit, inside, running):
    (job,) = jobs_of(running, "--stage", "dynamics", "--state", "running")
    page = visit.go(f"{inside}jobs/{job['uuid']}")
    progress = page.locator("#job dl.facts").first
    before = progress.inner_text()
    page.wait_for_function(
        "before => document.querySelector('#job dl.facts').innerText !== before",
        arg=before,
        timeout=LIVE_MS,
    )


def test_an_action_is_confirmed_done_and_remembered(visit, inside, running):
    page = visit.go(f"{inside}jobs?stage=dynamics")
    page.get_by_role("button", name="Pause…").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("dynamics")
    dialog.get_by_role("link", name=re.compile("cancel|back|no", re.I)).or_(
        dialog.locator("[data-dismiss]")
    ).first.click()
    expect(dialog).not_to_be_visible()
    page.get_by_role("button", name="Pause…").first.click()
    dialog.locator("button[type=submit]").first.click()
    expect(page.get_by_role("status").first).to_be_visible()
    assert "no job of this campaign" not in page.locator("main").inner_text()
    assert "paused" in halideflow("status", running).stdout
    page.get_by_role("button", name="Resume…").first.click()
    dialog.locator("button[type=submit]").first.click()
    visit.settle()
    history = visit.go(f"{inside}provenance").locator("main")
    expect(history).to_contain_text("pause")
    expect(history).to_contain_text("resume")


def test_a_page_without_results_becomes_the_overview(visit, tmp_path):
    config = write_campaign(tmp_path, {"kcl-a": SMALL["kcl-a"]}, temperatures=())
    with dashboard(config) as address:
        page = visit.go(f"{address}c/campaign/")
        expect(page.locator("h1")).to_have_text("Nothing yet")
        assert halideflow("run", config).returncode == 0
        expect(page.locator("h1")).to_have_text("small", timeout=LIVE_MS)
        expect(page.locator("main")).to_contain_text("KCl-kcl-a-1")


def test_a_server_that_is_gone_is_told_and_nothing_vanishes(browser, finished):
    with browser.new_context() as context:
        page = context.new_page()
        with dashboard(finished) as address:
            page.goto(f"{address}c/campaign/rankings")
            expect(page.locator("#ranking tbody tr")).to_have_count(3)
        expect(page.locator("#live-state")).to_contain_text("does not answer", timeout=LIVE_MS)
        expect(page.locator("#ranking tbody tr")).to_have_count(3)
