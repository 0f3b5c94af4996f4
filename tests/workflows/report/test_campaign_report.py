"""The report of finished, failed, unfinished and empty campaigns: whole, escaped, by itself."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
import sqlite3
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from campaigns import CELLS, halideflow, overlapping, ranking, write_campaign

from screening.documents import Failure
from workflows.cli.results import open_results
from workflows.report import view as report_views
from workflows.report.page import prose, render_report, spread
from workflows.report.view import report_view


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def download(self, name: str) -> bytes:
        """The content of a file inside the page."""
        (link,) = (a for a in self.all("a") if str(a.get("download", "")).endswith(name))
        return base64.b64decode(link["href"].split(";base64,")[1])


@pytest.fixture
def html(results) -> str:
    return render_report(report_view(results, 10))


@pytest.fixture
def page(html) -> Page:
    return Page(html)


def copy_of(config, folder):
    shutil.copytree(config.parent, folder)
    return folder / config.name


def test_it_loads_nothing_and_runs_nothing(page):
    assert not page.all("script")
    assert not page.all("img")
    assert not page.all("iframe")
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    links = [a["href"] for a in page.all("a")]
    assert all(h.startswith(("#", "data:", "https://")) for h in links)
    (policy,) = (m for m in page.all("meta") if m.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'")


def test_what_people_wrote_is_text(page, html):
    assert "<script>alert('config')</script>" in page.text  # the description
    assert "alert('file')" in page.text  # the host, named by its file
    assert "<script" not in html


def test_anchors_and_ids(page):
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    inside = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert inside <= set(ids)
    named = {a["aria-labelledby"] for _, a in page.tags if a.get("aria-labelledby")}
    assert named <= set(ids)


def test_headings_follow_each_other(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_data_inside_are_those_of_rank(page, config):
    assert json.loads(page.download("ranking.json")) == ranking(config)
    assert page.download("campaign.yaml").decode() == config.read_text()
    assert page.download("citations.bib").startswith(b"% ")
    (cif,) = (a for a in page.all("a") if str(a.get("download", "")).endswith(".cif"))
    assert b"_cell_length_a" in base64.b64decode(cif["href"].split(";base64,")[1])


def test_it_says_what_became_of_everybody(page):
    assert "rejected: E above hull" in page.text
    assert "failed: relax UNUSABLE_STRUCTURE" in page.text
    assert "1 of 3 candidates failed; see Failures." in page.text
    assert "E above hull ≤ 0.005 eV/atom" in page.text
    assert "upper bound at 95 % confidence" in page.text


def test_a_candidate_s_page(results, page):
    view = report_view(results, 10)
    (candidate,) = view.pages
    assert candidate.view.row.rank == 1
    assert candidate.voltage is not None
    assert candidate.arrhenius is not None
    assert [run.temperature for run in candidate.runs] == ["300", "600"]
    assert all(run.core_hours for run in candidate.runs)
    assert len(candidate.msd) == 2
    lattice = candidate.view.relax.result.structure.lattice
    assert f"a = {lattice.a:.3f}" in page.text
    assert "CHGNet softens forces" in page.text
    for guard in candidate.stability.guards:
        assert guard.name.replace("_", " ") in page.text


def test_no_page_where_none_is_asked_for(results):
    view = report_view(results, 0)
    assert view.pages == ()
    assert "candidate" in Page(render_report(view)).text


def test_numbers_of_references_are_those_of_the_list(results, html):
    view = report_view(results, 0)
    places = {source.key: i for i, source in enumerate(view.sources, start=1)}
    ordered = list(places)
    assert view.numbers_of([ordered[1], ordered[2], ordered[3], ordered[6]]) == [(2, 4), (7, 7)]
    assert 'id="source-1"' in html
    assert f'id="source-{len(ordered)}"' in html


def test_errors_are_text(results):
    view = report_view(results, 1)
    job = replace(view.failures[0].jobs[0], message="<script>alert('job')</script>")
    groups = (replace(view.failures[0], jobs=(job,)),)
    failure = Failure(code="<b>", message="<i>")
    rows = tuple(
        row.model_copy(update={"failure": failure, "rejection": None}) for row in view.rows
    )
    changed = replace(
        view,
        failures=groups,
        rows=rows,
        name="<script>",
        missing=("<script>",),
        left_out=(("x", "<script>"),),
    )
    html = render_report(changed)
    assert "<script" not in html
    assert "&lt;b&gt;" in html
    assert "<i>" not in html


def test_an_unfinished_campaign_says_what_is_missing(config, tmp_path):
    """As it was when the dynamics at 600 K still waited."""
    copied = copy_of(config, tmp_path / "unfinished")
    with sqlite3.connect(next(copied.parent.rglob("results.sqlite"))) as database:
        database.execute(
            "update jobs set state = 'waiting' where stage = 'rank' or stage = 'transport' and "
            "state = 'done'"
        )
    database.close()
    results = open_results(copied)
    with results.folder.locked():
        missing = report_view(results, 0).missing
    assert any("not finished and is being run: 1 of 3" in text for text in missing)
    view = report_view(open_results(copied), 10)
    assert view.pages == ()
    assert view.without_page == "No candidate has reached a rank."
    assert any("not finished and is not being run now: 1 of 3" in text for text in view.missing)
    text = Page(render_report(view)).text
    assert "No candidate has reached a rank." in text
    assert "No candidate has both a window and" in text


def test_a_campaign_of_which_all_failed(tmp_path):
    config = write_campaign(tmp_path, {"bad": ("K", overlapping())})
    halideflow("run", config, "--workers", "1")
    written = halideflow("report", config, "--out", tmp_path / "r.html")
    assert written.returncode == 0, written.stderr
    assert "1 of 1 candidates failed" in written.stderr
    text = Page((tmp_path / "r.html").read_text()).text
    assert "No structure has been relaxed yet." in text
    assert "No candidate has reached a rank." in text


def test_a_campaign_without_candidates(config, tmp_path):
    """Whose enumeration has not ended."""
    copied = copy_of(config, tmp_path / "empty")
    with sqlite3.connect(next(copied.parent.rglob("results.sqlite"))) as database:
        database.execute("delete from jobs where stage != 'enumerate'")
        database.execute("update jobs set state = 'running'")
        database.execute("delete from documents")
    database.close()
    view = report_view(open_results(copied), 10)
    assert view.missing[0] == "The enumeration has not ended yet: no candidate is known."
    assert "There is nothing to rank yet." in Page(render_report(view)).text


def test_a_campaign_that_was_never_run(tmp_path):
    config = write_campaign(tmp_path, {"kcl": CELLS["kcl"]})
    told = halideflow("report", config, "--out", tmp_path / "r.html")
    assert told.returncode == 3
    assert "no results yet" in told.stderr
    assert not (tmp_path / "r.html").exists()


def test_of_a_campaign_without_dynamics(tmp_path):
    config = write_campaign(tmp_path, {"kcl": CELLS["kcl"]}, temperatures=())
    halideflow("run", config, "--workers", "1")
    view = report_view(open_results(config), 10)
    assert view.missing == ()
    assert view.pareto is None
    text = Page(render_report(view)).text
    assert "There are no diffusivities: the campaign asks for no dynamics." in text
    assert "no dynamics" in text


def test_a_file_too_large_for_a_link_is_packed(results, monkeypatch):
    monkeypatch.setattr(report_views, "_MOST_UNPACKED", 100)
    page = Page(render_report(report_view(results, 0)))
    unpacked = gzip.decompress(page.download("ranking.json.gz"))
    assert len(json.loads(unpacked)) == 3


def test_a_long_ranking_is_cut_and_says_so(results, monkeypatch):
    monkeypatch.setattr(report_views, "MOST_ROWS", 2)
    page = Page(render_report(report_view(results, 0)))
    assert "The first 2 of 3 candidates" in page.text
    assert len(json.loads(page.download("ranking.json"))) == 3


def test_a_changed_snapshot_is_not_described(results, monkeypatch):
    view = report_view(results, 0)
    changed = replace(view.used, snapshot=replace(view.used.snapshot, known=None))
    monkeypatch.setattr(report_views, "ingredients", lambda _: changed)
    missing = report_view(results, 0).missing
    assert any("are not there any more as they were" in text for text in missing)


@pytest.mark.parametrize(
    ("value", "ends", "html"),
    [
        (2.8e-4, (2.3e-4, 3.31e-4), "2.8 (2.3…3.3) × 10<sup>−4</sup>"),
        (9.4e-5, (8e-5, 1.2e-4), "9.4 (8.0…12) × 10<sup>−5</sup>"),
        (0.6, (0.25, 1.4), "0.60 (0.25…1.4)"),
        (1e-4, (1e-6, 1e-3), "1.0 × 10<sup>−4</sup> (1.0 × 10<sup>−6</sup>…1.0 × 10<sup>−3</sup>)"),
    ],
)
def test_a_value_with_its_interval(value, ends, html):
    assert spread(value, ends) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("K2Ta3Cl9 + 4 KCl", "K<sub>2</sub>Ta<sub>3</sub>Cl<sub>9</sub> + 4 KCl"),
        ("(Li2OH)26KCl27.", "(Li<sub>2</sub>OH)<sub>26</sub>KCl<sub>27</sub>."),
        ("Na0.75Sm1.75Cl6", "Na<sub>0.75</sub>Sm<sub>1.75</sub>Cl<sub>6</sub>"),
        ("(KTaCl6)", "(KTaCl<sub>6</sub>)"),
        ("MP2020, sha256, C2/m, D0, r2SCAN, k2ptcl6", "MP2020, sha256, C2/m, D0, r2SCAN, k2ptcl6"),
        ("KTaCl6-k2ptcl6-2", "KTaCl6-k2ptcl6-2"),
        ("<b>O2</b>", "&lt;b&gt;O<sub>2</sub>&lt;/b&gt;"),
    ],
)
def test_formulas_in_texts(text, html):
    assert prose(text) == html


def test_the_command(config, tmp_path):
    out, figures = tmp_path / "r.html", tmp_path / "figures"
    written = halideflow("report", config, "--out", out, "--figures", figures)
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith(f"{out}: 1 of 3 candidates have a page\n")
    assert "1 of 3 candidates failed" in written.stderr
    names = {path.name for path in figures.iterdir()}
    (identifier,) = {name.split("_voltage")[0] for name in names if "_voltage" in name}
    kinds = (
        "pareto",
        *(f"{identifier}_{n}" for n in ("voltage", "arrhenius", "msd_300K", "msd_600K")),
    )
    assert names == {
        f"{kind}_{mm}mm.{ending}" for kind in kinds for mm in (85, 170) for ending in ("pdf", "svg")
    }


def test_the_command_for_programs(config, tmp_path):
    out = tmp_path / "r.html"
    told = halideflow("report", config, "--out", out, "--top", 0, "--json")
    document = json.loads(told.stdout)
    assert document["report"] == str(out)
    assert (document["n_pages"], document["n_candidates"], document["figures"]) == (0, 3, [])
    assert "1 of 3 candidates failed; see Failures." in document["missing"]


@pytest.mark.parametrize(
    ("out", "figures", "said"),
    [
        (".", None, "is a folder; --out needs the name of a file"),
        ("nowhere/r.html", None, "there is no folder"),
        ("r.html", "campaign.yaml", "is a file; --figures needs a folder"),
    ],
)
def test_bad_paths_are_said_before_anything_is_made(config, tmp_path, out, figures, said):
    arguments = ["--figures", config.parent / figures] if figures else []
    told = halideflow("report", config, "--out", tmp_path / out, *arguments)
    assert told.returncode == 2
    assert said in told.stderr
