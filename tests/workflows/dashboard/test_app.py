"""Addresses, errors and files of the dashboard as a whole."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from dashboards import DONE, REJECTED, client_of
from starlette.testclient import TestClient

import workflows.dashboard
from workflows.dashboard.app import DashboardSettings, create_app
from workflows.execution.jobs import JobTable

STATIC = Path(workflows.dashboard.__file__).parent / "static"
PAGES = ("", "rankings", "jobs", "failures", "provenance")


def test_one_campaign_is_at_the_top(finished):
    answer = client_of(finished).get("/", follow_redirects=False)
    assert answer.headers["location"] == "/c/campaign/"


def test_several_campaigns_are_listed_under_names_of_their_own(finished, copy):
    client = client_of(finished, copy, finished.parent / "campaign")
    page = client.get("/").text
    for slug in ("campaign", "campaign-2", "campaign-3"):
        assert f'href="/c/{slug}/"' in page
        assert client.get(f"/c/{slug}/").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_page_answers_also_under_a_prefix(finished, page):
    client = client_of(finished, root_path="/halide")
    for address in (f"/halide/c/campaign/{page}", f"/c/campaign/{page}"):  # as proxies do it
        answer = client.get(address)
        assert answer.status_code == 200
        assert 'href="/halide/c/campaign/rankings' in answer.text
        assert 'href="/c/' not in answer.text
    assert client.get("/", follow_redirects=False).headers["location"] == "/halide/c/campaign/"


def test_looks_at_the_same_time_get_each_their_own(finished):
    """What is kept between requests belongs to what was asked for."""
    client = client_of(finished)
    addresses = [f"/c/campaign/candidates/{name}/scene.json" for name in (DONE, REJECTED)]
    expected = [client.get(address).content for address in addresses]
    assert expected[0] != expected[1]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: client.get(addresses[i % 2]).content, range(40)))
    assert found == expected * 20


def test_what_is_asked_for_at_the_same_time_is_made_once(finished):
    (campaign,) = client_of(finished).app.state.site.campaigns.values()
    made = []

    def make():
        made.append(time.sleep(0.1))
        return len(made)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: campaign.kept("x", 1, make), range(4)))
    assert found == [1, 1, 1, 1]
    assert campaign.kept("x", 2, make) == 2


def test_looking_in_vain_leaves_no_file_open(finished, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "campaign.yaml").write_bytes(
        (finished.parent / "campaign" / "campaign.yaml").read_bytes()
    )
    JobTable(tmp_path / "new" / "results.sqlite").close()
    client = client_of(tmp_path / "new")
    client.get("/c/new/")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        assert "Nothing yet" in client.get("/c/new/").text
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@pytest.mark.parametrize("address", ["/c/other/", "/c/campaign/nothing", "/nothing", "/c/../../x"])
def test_an_address_that_is_none_gives_a_page_that_says_so(finished, address):
    answer = client_of(finished).get(address)
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_a_campaign_that_was_never_run_says_what_to_do(finished, tmp_path, page):
    config = tmp_path / "new.yaml"
    structures = finished.parent
    config.write_text(finished.read_text().replace("path: ", f"path: {structures}/"))
    answer = client_of(config).get(f"/c/new/{page}")
    assert answer.status_code == 200
    assert f"no results yet; start with `halideflow run {config}`" in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_store_gives_a_page_that_says_so(copy, page):
    database = copy.parent / "campaign" / "results.sqlite"
    for path in database.parent.glob("results.sqlite-*"):
        path.unlink()
    database.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    answer = client_of(copy).get(f"/c/campaign/{page}")
    assert answer.status_code == 503
    assert "data-live" in answer.text
    assert "file is not a database" in answer.text
    assert str(database) in answer.text


def test_damage_within_the_store_gives_a_page_that_says_so(copy):
    database = copy.parent / "campaign" / "results.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        size = connection.execute("pragma page_size").fetchone()[0]
    content = bytearray(database.read_bytes())
    content[size:] = b"\xff" * (len(content) - size)
    database.write_bytes(content)
    answer = client_of(copy).get("/c/campaign/")
    assert answer.status_code == 503
    assert "data-live" in answer.text
    assert "malformed" in answer.text


def test_a_locked_store_gives_a_page_that_says_so_and_comes_back(copy, monkeypatch):
    monkeypatch.setattr("workflows.dashboard.served._BUSY_TIMEOUT_S", 0.1)
    client = client_of(copy)
    database = copy.parent / "campaign" / "results.sqlite"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("pragma locking_mode = exclusive")
        connection.execute("begin exclusive")
        answer = client.get("/c/campaign/")
        assert answer.status_code == 503
        assert "database is locked" in answer.text
        assert "data-live" in answer.text
    assert client.get("/c/campaign/").status_code == 200


def test_a_config_that_does_not_hold_gives_a_page_with_its_line(copy):
    copy.write_text(copy.read_text() + "nonsense: 1\n")
    answer = client_of(copy).get("/c/campaign/")
    assert answer.status_code == 503
    assert "data-live" in answer.text
    assert "nonsense" in answer.text
    assert "line" in answer.text


def test_a_bug_gives_a_page_without_its_traceback(finished, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("workflows.dashboard.pages.overview.overview_view", broken)
    app = create_app(DashboardSettings((finished,)))
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get("/c/campaign/")
    assert answer.status_code == 500
    assert "ZeroDivisionError while this page was made" in answer.text
    assert "secret detail" not in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_vendored_files_are_those_of_the_manifest():
    vendor = STATIC / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text())
    listed = {entry["file"]: entry for entry in manifest}
    licences = {entry["licence_file"] for entry in manifest}
    assert {path.name for path in vendor.iterdir()} == {*listed, *licences, "manifest.json"}
    for name, entry in listed.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == entry["sha256"]
        assert (vendor / entry["licence_file"]).stat().st_size > 300


def test_templates_hold_nothing_that_the_policy_forbids():
    for template in (STATIC.parent / "templates").glob("*.html"):
        text = template.read_text()
        assert " style=" not in text, template
        assert "<style" not in text, template
        assert " onclick" not in text, template
        for script in text.split("<script")[1:]:
            assert script.lstrip().startswith("src="), template
