"""The report in a real browser: from disk, without a network, accessible, and printed."""

from __future__ import annotations

import json

import pytest
from browsers import AA, CHROMIUM, chromium

from workflows.report.page import render_report
from workflows.report.view import report_view

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def file(results, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(report_view(results, 10)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width_px", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_and_is_accessible(browser, file, width_px, scheme):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(
        viewport={"width": width_px, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert complaints == []
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(too_wide) == 0
    violations = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in Axe().run(page).response["violations"]
        if AA.intersection(each["tags"])
    ]
    assert violations == []
    context.close()


def test_its_files_can_be_saved(browser, file, tmp_path):
    page = browser.new_page()
    page.goto(file.as_uri())
    with page.expect_download() as saved:
        page.get_by_role("link", name="ranking.json").click()
    saved.value.save_as(tmp_path / "ranking.json")
    assert len(json.loads((tmp_path / "ranking.json").read_text())) == 3
    page.close()


def test_each_candidate_begins_a_page_in_print(browser, file):
    page = browser.new_page()
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    breaks = page.eval_on_selector_all(
        ".candidate", "all => all.map(each => getComputedStyle(each).breakBefore)"
    )
    assert breaks == ["page"]
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.close()
