"""Who gets in, and what an answer allows a browser to do."""

from __future__ import annotations

import logging

import pytest
from dashboards import client_of
from starlette.requests import Request

from workflows.dashboard.security import CONTENT_SECURITY_POLICY, Keys, is_from_our_page

TOKEN = "a-token-nobody-guesses"


@pytest.fixture
def guarded(finished):
    return client_of(finished, host="screening.example.org", token=TOKEN)


@pytest.mark.parametrize("address", ["/", "/c/campaign/", "/static/page.js", "/nothing"])
def test_every_answer_has_the_policy(finished, address):
    headers = client_of(finished).get(address).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:80", "[::1]"])
def test_this_machine_is_answered(finished, host):
    client = client_of(finished)
    assert client.get("/c/campaign/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_another_name_is_refused_without_a_token(finished, host):
    """Another site may point its own name at 127.0.0.1 and have a browser read the pages."""
    answer = client_of(finished).get("/c/campaign/", headers={"host": host})
    assert answer.status_code == 421
    assert "KCl" not in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/c/campaign/",
        "/c/campaign/rankings.csv",
        "/static/../c/campaign/",
        "/?token=wrong",
        "/?token=",
    ],
)
def test_nothing_is_shown_without_the_token(guarded, address):
    answer = guarded.get(address, follow_redirects=False)
    assert answer.status_code == 401
    assert "KCl" not in answer.text
    assert TOKEN not in answer.text
    assert "set-cookie" not in answer.headers


def test_the_token_is_shown_once_and_leaves_the_address(guarded):
    first = guarded.get(f"/c/campaign/jobs?state=done&token={TOKEN}", follow_redirects=False)
    assert first.status_code == 303
    assert first.headers["location"] == "/c/campaign/jobs?state=done"
    cookie = first.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = guarded.get("/c/campaign/")
    assert page.status_code == 200
    assert TOKEN not in page.text


def test_the_token_can_be_typed_into_a_form(guarded):
    wrong = guarded.post("/c/campaign/", data={"token": "wrong"})
    assert wrong.status_code == 401
    assert "That is not the token" in wrong.text
    right = guarded.post("/c/campaign/", data={"token": TOKEN}, follow_redirects=False)
    assert right.status_code == 303
    assert right.headers["location"] == "/c/campaign/"
    assert guarded.get("/c/campaign/").status_code == 200


def test_the_way_in_leads_nowhere_else(guarded):
    answer = guarded.get(f"//evil.example/?token={TOKEN}", follow_redirects=False)
    assert answer.headers["location"] in ("/evil.example/", "/")
    form = client_of(*(), host="a.example", token=TOKEN).get("//evil.example/x?q=1")
    assert 'action="/' in form.text
    assert 'action="//' not in form.text


def test_cookies_of_another_dashboard_are_not_taken(guarded, finished):
    other = client_of(finished, host="screening.example.org", token=TOKEN)
    guarded.get(f"/?token={TOKEN}")
    ((name, value),) = guarded.cookies.items()
    other.cookies.set(name, value)
    assert other.get("/c/campaign/").status_code == 401


def test_no_log_holds_the_token(guarded, caplog):
    with (
        caplog.at_level(logging.DEBUG, logger="workflows"),
        caplog.at_level(logging.DEBUG, "uvicorn"),
    ):
        guarded.get(f"/?token={TOKEN}")
        guarded.get("/c/campaign/")
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    assert not any(TOKEN in record.getMessage() for record in ours)


def test_a_form_that_is_too_large_opens_nothing(guarded):
    answer = guarded.post("/", content=b"x=" + b"y" * 100_000 + f"&token={TOKEN}".encode())
    assert answer.status_code == 401


def request_with(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "with_key", "expected"),
    [
        ({}, True, True),
        ({"origin": "http://127.0.0.1:1"}, True, True),
        ({"sec_fetch_site": "same-origin"}, True, True),
        ({}, False, False),
        ({"origin": "http://evil.example"}, True, False),
        ({"origin": "null"}, True, False),
        ({"sec_fetch_site": "cross-site"}, True, False),
        ({"sec_fetch_site": "same-site"}, True, False),
    ],
)
def test_forms_of_other_sites_are_known(headers, with_key, expected):
    keys = Keys("token")
    request = request_with(host="127.0.0.1:1", **headers)
    form = {"form_key": keys.form_key if with_key else Keys("token").form_key}
    assert is_from_our_page(request, form, keys) is expected
