"""Failures by cause, and the ways to them."""

from __future__ import annotations

import shlex
import shutil

from dashboards import DONE, FAILED, client_of
from test_jobs_page import EVIL, change, listed, uuid_of

from workflows.advice import advice_for
from workflows.config_file import load_campaign
from workflows.results import ResultsFolder


def page(config):
    answer = client_of(config).get("/c/campaign/failures")
    assert answer.status_code == 200
    return answer.text


def test_a_cause_has_its_meaning_and_what_to_do_about_it(finished):
    html = page(finished)
    advice = advice_for("UNUSABLE_STRUCTURE", "relax")
    assert 'id="UNUSABLE_STRUCTURE"' in html
    assert advice.meaning in html
    assert advice.action in html
    assert f"<code>halideflow run {finished}</code>" in html
    assert "1 job</a> of 1 candidate" in html
    assert "Cl (atom 5) and Cl (atom 9)" in html


def test_a_command_can_be_copied_whatever_the_path(finished, tmp_path):
    folder = tmp_path / "with space"
    shutil.copytree(finished.parent, folder)
    shown = page(folder / "campaign.yaml")
    command = f"halideflow run {shlex.quote(str(folder / 'campaign.yaml'))}"
    assert f"<code>{command.replace(chr(39), '&#39;')}</code>" in shown


def test_wherever_a_command_stands_it_has_the_campaign(finished, tmp_path):
    folder = tmp_path / "a; b"
    shutil.copytree(finished.parent, folder)
    config = folder / "campaign.yaml"
    command = f"<code>halideflow run {shlex.quote(str(config))}</code>".replace("'", "&#39;")
    assert command in client_of(config).get(f"/c/campaign/candidates/{FAILED}").text
    change(config, ("update jobs set state = 'waiting' where stage = 'dynamics'",))
    overview = client_of(config).get("/c/campaign/").text
    assert f"{command} goes on" in overview


def test_from_the_overview_and_from_the_list_a_cause_is_two_clicks_away(finished):
    client = client_of(finished)
    assert 'href="/c/campaign/failures#UNUSABLE_STRUCTURE"' in client.get("/c/campaign/").text
    failed = uuid_of(finished, FAILED, "relax")
    assert f'href="/c/campaign/jobs/{failed}"' in client.get("/c/campaign/jobs?state=failed").text
    assert "0.126 Å apart" in client.get(f"/c/campaign/jobs/{failed}").text


def test_log_lines_are_shown_where_the_message_does_not_say_all(copy):
    log = "Traceback (most recent call last):\n  deep inside\nZeroDivisionError: division by zero"
    change(
        copy,
        ("update jobs set code = 'UNEXPECTED', log_tail = ? where state = 'failed'", (log,)),
    )
    assert "ZeroDivisionError: division by zero" in page(copy)
    assert "deep inside" in page(copy)


def test_never_succeeded_is_apart_from_succeeded_later(copy):
    relaxed = uuid_of(copy, DONE, "relax")
    assert "whatever succeeded did so at its first attempt" in page(copy)
    change(copy, ("update jobs set attempts = 3 where uuid = ?", (relaxed,)))
    never, _, again = page(copy).partition("Failed, then succeeded")
    assert f"/jobs/{relaxed}" not in never
    assert f"/jobs/{relaxed}" in again
    assert "1 × relax needed more than one attempt" in again


def test_causes_behind_other_causes_are_still_listed(copy):
    change(
        copy,
        (
            "update jobs set state = 'failed', code = 'LOST', message = 'gone' "
            "where candidate = ? and stage = 'transport'",
            (FAILED,),
        ),
    )
    html = page(copy)
    assert 'id="LOST"' in html
    assert "that an earlier job had failed of already" in html
    assert {row["code"]: row["n_jobs"] for row in failures_json(copy)} == {
        "UNUSABLE_STRUCTURE": 1,
        "LOST": 1,
    }


def failures_json(config):
    return client_of(config).get("/c/campaign/failures.json").json()


def test_files_of_the_user_that_became_no_candidate_are_failures(copy):
    assert "Files of yours" not in page(copy)
    store = ResultsFolder(copy.parent / "campaign").job_store(load_campaign(copy).store)
    (uuid,) = (job["uuid"] for job in listed(copy) if job["stage"] == "enumerate")
    document = next(store.query({"uuid": uuid}))
    document["output"]["left_out"] = [{"formula": "kcl-a.cif", "reason": f"broken {EVIL}"}]
    store.update([document], key=["uuid", "index"])
    store.close()
    html = page(copy)
    assert "Files of yours that became no candidate" in html
    assert "<code>kcl-a.cif</code>" in html
    assert "<script>alert" not in html
    assert failures_json(copy)[-1]["code"] == "LEFT_OUT"


def test_hostile_codes_messages_and_logs_stay_text(copy):
    change(
        copy,
        (
            "update jobs set code = ?, message = ?, log_tail = ?, candidate = ? "
            "where state = 'failed'",
            (EVIL,) * 4,
        ),
    )
    html = page(copy)
    assert "<script>alert" not in html
    assert "<a href=javascript" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 4
