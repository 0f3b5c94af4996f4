"""Retry, pause, resume and cancel from pages: only where allowed, only from our pages, and told."""

from __future__ import annotations

import re
import time

import pytest
from browsers import CHROMIUM, chromium, dashboard
from dashboards import DONE, FAILED, REJECTED, client_of
from test_jobs_page import EVIL, change, listed

from workflows.cli.results import open_results
from workflows.execution.jobs import JobTable
from workflows.execution.orders import Orders
from workflows.results import ResultsFolder

KINDS = ("retry", "pause", "resume", "cancel")


def folder(config):
    return ResultsFolder(config.parent / "campaign")


def history(config):
    return Orders(JobTable(folder(config).database, read_only=True)).history()


def allowed(config, **settings):
    return client_of(config, allow_actions=True, **settings)


def form_of(client, kind, **fields):
    """What the confirmation page would send, and the page."""
    page = client.get(f"/c/campaign/actions/{kind}", params=fields)
    assert page.status_code == 200, page.text
    posted = re.search(r'<form method="post".*?</form>', page.text, re.S)
    if posted is None:
        return None, page.text
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', posted[0])), page.text


def do(client, kind, **fields):
    """As somebody who confirms."""
    form, page = form_of(client, kind, **fields)
    assert form is not None, page
    form = {name: value.replace("&amp;", "&") for name, value in form.items()}
    return client.post(f"/c/campaign/actions/{kind}", data=form, follow_redirects=False)


@pytest.mark.parametrize("kind", KINDS)
def test_where_they_are_not_allowed_there_are_none(copy, kind):
    client = client_of(copy)
    assert client.get(f"/c/campaign/actions/{kind}").status_code == 404
    assert client.post(f"/c/campaign/actions/{kind}").status_code == 404
    for page in ("jobs", "failures"):
        assert "/actions/" not in client.get(f"/c/campaign/{page}").text
    assert history(copy) == []


def test_pages_offer_what_their_filter_means(copy):
    client = allowed(copy)
    html = client.get(f"/c/campaign/jobs?candidate={DONE}&stage=relax").text
    assert html.count("data-action") == 4
    assert html.count(f'name="candidate" value="{DONE}"') >= 4
    assert client.get("/c/campaign/jobs?code=CANCELLED").text.count("data-action") == 1
    assert 'name="code" value="UNUSABLE_STRUCTURE"' in client.get("/c/campaign/failures").text


def test_asking_says_what_would_happen_and_does_nothing(copy):
    form, page = form_of(allowed(copy), "retry", stage="relax")
    assert "Try again: relax?" in page
    assert "Tried again: 1 job (relax 1)" in page
    assert "for it depended on them: 3." in page  # its stability, its gates, the ranking
    assert f"{FAILED} · relax · UNUSABLE_STRUCTURE" in page
    assert f"<code>halideflow run {copy}</code> then goes on" in page
    assert set(form) == {"form_key", "stage", "back"}
    assert history(copy) == []


def test_a_retry_is_done_here_where_nobody_runs_the_campaign(copy):
    client = allowed(copy)
    answer = do(client, "retry", code="UNUSABLE_STRUCTURE", back="/c/campaign/failures")
    assert answer.status_code == 303
    (order,) = history(copy)
    assert answer.headers["location"] == f"/c/campaign/failures?order={order.number}"
    assert (order.kind, order.selection.code, order.n_jobs) == ("retry", "UNUSABLE_STRUCTURE", 1)
    assert {job["state"] for job in listed(copy, f"?candidate={FAILED}")} == {"waiting"}
    page = client.get(answer.headers["location"]).text
    assert "Trying again everything, failed with UNUSABLE_STRUCTURE: 1 job waits again" in page
    jobs = client.get("/c/campaign/jobs").text
    assert "What was asked of it" in jobs
    assert '<th scope="row">retry</th>' in jobs


def test_a_candidate_s_page_tells_what_became_of_an_order(copy):
    client = allowed(copy)
    answer = do(client, "retry", candidate=FAILED, back=f"/c/campaign/candidates/{FAILED}")
    (order,) = history(copy)
    assert answer.headers["location"] == f"/c/campaign/candidates/{FAILED}?order={order.number}"
    page = client.get(answer.headers["location"]).text
    assert f"Trying again all stages of {FAILED}: 1 job waits again" in page
    plain = client.get(f"/c/campaign/candidates/{FAILED}").text
    assert '<p class="notice" role="status">' not in plain


def test_pause_and_resume(copy):
    change(copy, ("update jobs set state = 'waiting' where stage = 'dynamics'",))
    client = allowed(copy)
    answer = do(client, "pause", stage="dynamics", back="/c/campaign/jobs?stage=dynamics&page=1")
    assert answer.headers["location"].startswith("/c/campaign/jobs?stage=dynamics&page=1&order=")
    page = client.get(answer.headers["location"]).text
    assert "Paused: dynamics. What runs goes on." in page
    assert {job["state"] for job in listed(copy, "?stage=dynamics")} == {"paused"}
    _, again = form_of(client, "pause", stage="dynamics")
    assert "dynamics: is paused already." in again
    _, other = form_of(client, "resume", candidate=DONE)
    assert "Nothing to resume; paused is dynamics." in other
    _, question = form_of(client, "resume")
    assert "Lifted is the pause of: dynamics." in question
    assert do(client, "resume").status_code == 303
    assert {job["state"] for job in listed(copy, "?stage=dynamics")} == {"waiting"}
    assert [order.kind for order in history(copy)] == ["pause", "resume"]


def test_a_cancelled_job_can_be_taken_back(copy):
    change(copy, ("update jobs set state = 'waiting' where stage = 'dynamics'",))
    client = allowed(copy)
    answer = do(client, "cancel", candidate=DONE)
    assert "2 jobs ended" in client.get(answer.headers["location"]).text
    assert {job["code"] for job in listed(copy, "?stage=dynamics")} == {"CANCELLED"}
    do(client, "retry", code="CANCELLED")
    assert {job["state"] for job in listed(copy, "?stage=dynamics")} == {"waiting"}


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("retry", {"candidate": REJECTED}, "no such job has failed"),
        ("cancel", {}, "no such job waits or runs"),
        ("resume", {}, "paused is nothing"),
    ],
)
def test_where_there_is_nothing_to_do_nothing_is_done(copy, kind, fields, said):
    client = allowed(copy)
    form, page = form_of(client, kind, **fields)
    assert form is None
    assert said in page
    key = client.app.state.site.keys.form_key
    answer = client.post(f"/c/campaign/actions/{kind}", data={"form_key": key, **fields})
    assert said in answer.text
    assert history(copy) == []


def test_while_it_is_run_an_order_is_given_to_the_run(copy):
    client = allowed(copy)
    with folder(copy).locked():
        begun_s = time.monotonic()
        answer = do(client, "retry", stage="relax")
        assert time.monotonic() - begun_s < 6  # the browser does not wait for long
        address = answer.headers["location"]
        assert "given to the run, which has not carried it out yet" in client.get(address).text
        assert '<strong class="warn">not yet</strong>' in client.get(address).text
    assert listed(copy, "?state=failed")
    table = JobTable(folder(copy).database)
    orders = Orders(table)
    orders.carry_out(orders.pending()[0])  # what the run does
    table.close()
    assert "1 job waits again" in client.get(address).text


@pytest.mark.parametrize("kind", KINDS)
def test_only_our_own_pages_can_do_anything(copy, kind):
    client = allowed(copy)
    key = client.app.state.site.keys.form_key
    for data, headers in (
        ({}, {}),
        ({"form_key": "guessed"}, {}),
        ({"form_key": key}, {"Origin": "http://evil.example"}),
        ({"form_key": key}, {"Origin": "null"}),
        ({"form_key": key}, {"Sec-Fetch-Site": "cross-site"}),
        ({"form_key": key}, {"Sec-Fetch-Site": "same-site"}),
    ):
        answer = client.post(f"/c/campaign/actions/{kind}", data=data, headers=headers)
        assert answer.status_code == 403
        assert "did not come from a page of this dashboard" in answer.text
    other = allowed(copy)  # a key of another process
    data = {"form_key": other.app.state.site.keys.form_key}
    assert client.post(f"/c/campaign/actions/{kind}", data=data).status_code == 403
    assert history(copy) == []


def test_without_the_token_nothing_is_asked_nor_done(copy):
    client = allowed(copy, token="sesame")
    assert client.get("/c/campaign/actions/retry").status_code == 401
    key = client.app.state.site.keys.form_key
    answer = client.post("/c/campaign/actions/retry", data={"form_key": key})
    assert answer.status_code == 401
    assert history(copy) == []


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/c/campaign/jobs",
        "//evil.example/c/campaign/",
        "/\\evil.example",
        "\\\\evil.example",
        "/c/campaign/..//evil.example",
        "/c/campaign/../../../evil",
        "/c/campaign/%2e%2e/%2E%2e/evil",
        "/c/campaign/.%2e//evil.example",
        "/c/campaign/..%2fevil",
        "/c/campaign/..%5cevil",
        "/c/campaign/./actions/cancel",
        "/c/campaign/%61ctions/cancel",
        "javascript:alert(1)",
        "/c/other/jobs",
        "/c/campaign/jobs\r\nSet-Cookie: x=1",
        "http://[",
        "/c/campaign/actions/cancel",
        "",
    ],
)
def test_nobody_is_led_elsewhere(copy, back):
    answer = do(allowed(copy), "retry", stage="relax", back=back)
    assert re.fullmatch(r"/c/campaign/jobs\?order=\d+", answer.headers["location"])
    assert "set-cookie" not in answer.headers


def test_one_is_led_back_under_a_prefix(copy):
    from starlette.testclient import TestClient

    app = allowed(copy, root_path="/halide").app
    client = TestClient(app, base_url="http://127.0.0.1", root_path="/halide")
    page = client.get("/halide/c/campaign/actions/retry?back=/halide/c/campaign/failures").text
    key = app.state.site.keys.form_key
    assert 'action="/halide/c/campaign/actions/retry"' in page
    answer = client.post(
        "/halide/c/campaign/actions/retry",
        data={"form_key": key, "back": "/halide/c/campaign/failures?order=9"},
        follow_redirects=False,
    )
    assert re.fullmatch(r"/halide/c/campaign/failures\?order=\d+", answer.headers["location"])


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        ("retry", {"stage": EVIL}, 400),
        ("retry", {"candidate": EVIL}, 400),
        ("retry", {"code": EVIL}, 400),
        ("cancel", {"code": "UNUSABLE_STRUCTURE"}, 400),
        ("delete", {}, 404),
    ],
)
def test_what_there_is_not_is_refused_with_a_message(copy, kind, fields, status):
    answer = allowed(copy).get(f"/c/campaign/actions/{kind}", params=fields)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert history(copy) == []


def test_an_order_that_is_none_is_not_told_of(copy):
    client = allowed(copy)
    for order in ("999", "x", EVIL, "²", "1" * 50, "1" * 5000):
        answer = client.get("/c/campaign/jobs", params={"order": order})
        assert answer.status_code == 200
        assert '<p class="notice" role="status">' not in answer.text


def test_hostile_candidates_stay_text(copy):
    change(copy, ("update jobs set candidate = ? where state = 'failed'", (EVIL,)))
    client = allowed(copy)
    form, page = form_of(client, "retry", candidate=EVIL)
    assert "<script>alert" not in page
    assert form is not None
    key = client.app.state.site.keys.form_key
    answer = client.post(
        "/c/campaign/actions/retry", data={"form_key": key, "candidate": EVIL}
    )  # and on to the page that tells of it
    assert "<script>alert" not in answer.text
    assert history(copy)[0].selection.candidate == EVIL
    assert open_results(copy).jobs.count() > 0


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_in_a_browser_a_dialog_asks(copy):
    with dashboard("--allow-actions", copy) as address, chromium() as browser:
        page = browser.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.goto(address)
        page.get_by_role("link", name="Jobs", exact=True).click()
        page.get_by_role("button", name="Try again what failed…").first.click()
        dialog = page.get_by_role("dialog")
        dialog.wait_for()
        assert "Tried again: 1 job (relax 1)" in dialog.inner_text()
        dialog.get_by_role("link", name="Leave it").click()
        assert not dialog.is_visible()
        assert history(copy) == []
        page.get_by_role("button", name="Try again what failed…").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Try again").click()
        page.get_by_text("1 job waits again").first.wait_for()
        assert "order=" in page.url
        assert [order.kind for order in history(copy)] == ["retry"]
        assert complaints == []
