"""Jobs that go on as themselves."""

from __future__ import annotations

from jobflow import CURRENT_JOB, Job, OnMissing


def continue_current_job(following: Job) -> None:
    """Make `following` the next part of the job that is running: same uuid, next index.

    jobflow does the first of it by itself where one job replaces another, but not inside a flow.
    """
    current = CURRENT_JOB.job
    following.set_uuid(current.uuid)
    following.index = current.index + 1
    following.metadata = dict(current.metadata)
    following.config.on_missing_references = OnMissing.NONE
