from __future__ import annotations

import io

from rich.console import Console

from workflows.cli.progress import StageProgress
from workflows.execution.events import JobEvent


def event(number, state, fraction=0.0, stage="dynamics", reused=False):
    key = (str(number), 1)
    return JobEvent(key, stage, stage, "c", state, fraction=fraction, reused=reused)


def printed(*events):
    output = io.StringIO()
    with StageProgress(Console(file=output, width=200)) as progress:
        for entry in events:
            progress(entry)
    return output.getvalue()


def test_states_and_fractions_are_counted_once_a_job():
    events = [event(i, "waiting") for i in range(4)]
    events += [event(0, "running"), event(0, "running", 0.5), event(0, "done"), event(1, "running")]
    events += [event(1, "running", 0.5), event(2, "failed")]
    assert "dynamics 2/4 (1 running, 1 failed, 62%)" in printed(*events)


def test_reused_jobs_are_said_so_and_stages_without_jobs_are_not_shown():
    text = printed(*(event(i, "done", stage="relax", reused=True) for i in range(3)))
    assert text.strip() == "relax 3/3 (3 reused)"
