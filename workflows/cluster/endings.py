"""What jobs of the queue answer, and what becomes of those that ended without."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from screening.errors import ProgramKilled, WallTimeReached
from workflows.cluster import answers
from workflows.cluster.answers import ANSWERS, Answer, Unfinished
from workflows.cluster.attempts import Attempts
from workflows.cluster.diagnosis import (
    ALLOCATION_FAILED,
    CANCELLED_OUTSIDE,
    DISK_FULL,
    SUBMISSION_FAILED,
    Cause,
    diagnose,
    what_scheduler_says,
    why_waiting,
)
from workflows.cluster.queue_jobs import QueueJob, QueueJobs
from workflows.execution.jobs import BROKEN_OFF, QUEUE_LOST, WORKER_DIED, Outcome
from workflows.execution.local import MAX_ATTEMPTS
from workflows.execution.queueing import QueueNews

if TYPE_CHECKING:
    from workflows.cluster.site import Site
    from workflows.execution.jobs import JobTable, Key

_ENDED = ("COMPLETED", "FAILED", "REMOTE_ERROR", "USER_STOPPED", "STOPPED")
_NEVER_RAN = ("CHECKED_OUT", "UPLOADED")
_IN_QUEUE = ("SUBMITTED", "RUNNING")
_MAY_HAVE_ANSWERED = ("RUNNING", "RUN_FINISHED", "DOWNLOADED")
_UNREACHABLE = re.compile(
    r"paramiko|fabric|\bssh\b|socket|EOFError|unreachable|timed? ?out|no route|connection|"
    r"authenticat|temporary failure in name resolution",
    re.IGNORECASE,
)
_REFUSED = re.compile(  # where qtoolkit's answer ends with what the scheduler printed
    r"submission failed\.?(?:.*\bstderr=(['\"])(?P<stderr>.+?)\1, status=|(?P<all>.*))", re.DOTALL
)
_REFUSED_FOR_NOW = re.compile(  # too many jobs, or a scheduler that is not well
    r"max\w*submit|submit limit|number of jobs|limit of jobs|jobs are allowed|temporar|try again|"
    r"timed out|unable to contact|not responding|connect|busy|inactive or drain|"
    r"would exceed .*(?:per-user|queued|number)",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(r"jfremote_out\.json\b.* does not exist")
_N_FAILED_STEPS = 2
_MAY_BE_A_FULL_DISK = (ALLOCATION_FAILED, ProgramKilled.code)  # which keeps it from saying so
_WRITTEN = ("queue.out", "queue.err")
_POLLS_PER_QUESTION = 10
_FETCH_EVERY_S = 300.0
_MOST_WALL_TIMES = 10
"""So many times a relaxation with VASP goes on in another allocation."""
_TRY_AGAIN_S = 30.0
_APPEARS_WITHIN_S = 60.0


class Endings:
    """Turns what jobflow-remote says of a job of the queue into news of ours.

    Args:
        table: of the campaign.
        site: where its answers lie.
    """

    def __init__(self, table: JobTable, site: Site) -> None:
        self._table = table
        self._site = site
        self._jobs = QueueJobs(table)
        self._attempts = Attempts()
        self._offsets: dict[str, int] = {}
        self._answered: set[str] = set()
        self._fetched_s: dict[str, float] = {}
        self._tried_s: dict[str, float] = {}
        self._n_failed_steps: dict[str, int] = {}
        self._asked_s = 0.0
        self._why_waiting: dict[str, str] = {}

    def ask_why_waiting(self, jobs: Iterable[QueueJob]) -> None:
        """Now and then, ask the schedulers why jobs wait that wait.

        Raises:
            Unreachable: they cannot be asked now.
        """
        if time.monotonic() - self._asked_s < _POLLS_PER_QUESTION * self._site.polling_s:
            return
        self._asked_s = time.monotonic()
        waiting: dict[str, dict[str, str]] = defaultdict(dict)
        for job in jobs:
            if job.state == "sent" and job.queue_id is not None:
                waiting[job.worker][job.queue_id] = job.uuid
        self._why_waiting = {}
        for worker, uuids in waiting.items():
            reasons = why_waiting(
                self._site.execute_on(worker), self._site.scheduler(worker), list(uuids)
            )
            for queue_id, reason in reasons.items():
                self._why_waiting[uuids[queue_id]] = f"the scheduler says: {reason}"

    def news(self, job: QueueJob, document: dict[str, Any] | None) -> Iterator[QueueNews]:
        """What there is to tell of one of them.

        Args:
            job: as the table has it.
            document: as jobflow-remote has it; None where it knows no such job.

        Raises:
            Unreachable: the answers cannot be read now; nothing is lost by asking again.
        """
        if document is None:
            if time.time() - job.sent_at > _APPEARS_WITHIN_S or job.started_at is not None:
                if job.queue_id is not None:
                    self._site.take_out(job.worker, job.queue_id)
                yield from self._read(job, job.run_dir)
                cause = Cause(QUEUE_LOST, "jobflow-remote knows nothing of it any more", "")
                yield from self._close(job, {}, lambda: cause)
            return
        remote = document.get("remote") or {}
        error = document.get("error") or remote.get("error") or ""
        state = document["state"]
        why = self._why_waiting.get(job.uuid) if state == "SUBMITTED" else None
        self._jobs.update(
            job, remote.get("process_id"), document.get("run_dir"), _last_line(error) or why
        )
        if self._is_for_the_moment(document, error):
            self._try_again(job)
            if state == "REMOTE_ERROR":
                return
        if state in _NEVER_RAN:
            n_failed = remote.get("step_attempts", 0)
            if n_failed >= _N_FAILED_STEPS and n_failed > self._n_failed_steps.get(job.uuid, 0):
                hopeless = self._why_not_sent(job, error)
                self._n_failed_steps[job.uuid] = n_failed
                if hopeless is not None:
                    self._site.stop(job.uuid)
                    yield from self._close(job, document, lambda: hopeless)
            return
        started_at = _seconds(document.get("start_time"))
        if job.state == "sent" and (started_at or state == "RUNNING"):
            self._jobs.started(job.uuid, started_at or time.time())
            for key in self._jobs.open_parts(job.uuid):
                yield QueueNews(key, is_running=True)
        run_dir = document.get("run_dir")
        if state in _ENDED:
            yield from self._read(job, run_dir)
            yield from self._close(job, document, partial(self._cause, job, document, error))
        elif state in _MAY_HAVE_ANSWERED and self._is_due(job):
            yield from self._read(job, run_dir)

    def _why_not_sent(self, job: QueueJob, error: str) -> Cause | None:
        """Why it will not be sent the next time, either; None where it may."""
        if refused := _REFUSED.search(error):
            text = refused["stderr"] or refused["all"]
            if _REFUSED_FOR_NOW.search(text):
                return None
            said = "; ".join(re.split(r"(?:\n|\\n)+", text.strip().removesuffix("\\n")))[:500]
            return Cause(SUBMISSION_FAILED, f"the scheduler did not take it: {said}", error)
        return self._disk_full(job, error)

    def _disk_full(self, job: QueueJob, text: str) -> Cause | None:
        """Whether the scratch is full, as an error says or a look at it shows."""
        found = diagnose("", "", text)
        if found.code == DISK_FULL or self._site.is_full(job.worker):
            where = self._site.work_root(job.worker)
            return Cause(DISK_FULL, f"no space is left at {where}", found.log_tail)
        return None

    def _is_for_the_moment(self, document: dict[str, Any], error: str) -> bool:
        """Whether it was the cluster that did not answer: jobflow-remote asks it ever more rarely.

        It is forgotten once the step succeeds.
        """
        state = document["state"]
        has_given_up = state == "REMOTE_ERROR"
        if not error or (state in _ENDED and not has_given_up):
            return False
        if refused := _REFUSED.search(error):
            said = refused["stderr"] or refused["all"]
            return has_given_up and bool(_REFUSED_FOR_NOW.search(said))
        is_in_queue = (document.get("previous_state") if has_given_up else state) in _IN_QUEUE
        return is_in_queue or bool(_UNREACHABLE.search(_last_line(error)))

    def _try_again(self, job: QueueJob) -> None:
        """Let jobflow-remote ask again soon, if the host answers at all."""
        if time.monotonic() - self._tried_s.get(job.uuid, -_TRY_AGAIN_S) < _TRY_AGAIN_S:
            return
        self._site.execute_on(job.worker)("true")
        self._site.retry(job.uuid)
        self._tried_s[job.uuid] = time.monotonic()

    def _is_due(self, job: QueueJob) -> bool:
        """Whether answers of one that runs are fetched now: over ssh each time costs something."""
        if self._site.is_here(job.worker):
            return True
        if time.monotonic() - self._fetched_s.get(job.uuid, 0.0) < _FETCH_EVERY_S:
            return False
        self._fetched_s[job.uuid] = time.monotonic()
        return True

    def _read(self, job: QueueJob, run_dir: str | None) -> Iterator[QueueNews]:
        """Take in the answers that came since it was asked before."""
        if run_dir is None:
            return
        start = self._offsets.get(job.uuid, 0)
        path = str(PurePosixPath(run_dir) / ANSWERS)
        if self._site.is_here(job.worker):
            content = self._site.read_here(path, start)
        else:
            content = (self._site.read(job.worker, path) or b"")[start:]
        for record, end in answers.read(content):
            if isinstance(record, Answer):
                self._answered.add(job.uuid)
                self._site.keep(record)
                for spawned in record.outcome.spawned:
                    if spawned.uuid == record.key[0]:
                        self._jobs.goes_on_with(job.uuid, spawned.key)
                news = self._judged(record.key, record.outcome)
            else:
                news = self._unfinished(job, record)
            # what was put back already may be in another queue job by now
            if news.outcome is not None or news.key in self._jobs.open_parts(job.uuid):
                yield news
            self._offsets[job.uuid] = start + end

    def _judged(self, key: Key, outcome: Outcome) -> QueueNews:
        """An answer, unless another attempt follows; a worker died in three attempts already."""
        code = outcome.code if outcome.state == "failed" else None
        if code == WORKER_DIED or code not in BROKEN_OFF:
            return QueueNews(key, outcome)
        n_most = _MOST_WALL_TIMES if code == WallTimeReached.code else MAX_ATTEMPTS
        return QueueNews(key, None if self._attempts.may_follow(key, n_most=n_most) else outcome)

    def _unfinished(self, job: QueueJob, record: Unfinished) -> QueueNews:
        """There was no time for it, or not enough; the next allocation goes on."""
        others_came_first = not record.was_started and job.uuid in self._answered
        if others_came_first or self._attempts.may_follow(record.key, record.fraction):
            return QueueNews(record.key)
        outcome = Outcome(
            "failed",
            lost=True,
            code=WallTimeReached.code,
            message=f"came no further than {record.fraction:.0%} in several allocations; raise the "
            "wall time of its stage in execution.resources",
        )
        return QueueNews(record.key, outcome)

    def _close(
        self, job: QueueJob, document: dict[str, Any], why: Callable[[], Cause]
    ) -> Iterator[QueueNews]:
        """Nothing more is to come: parts without an answer get the cause, or are tried again."""
        left = self._jobs.open_parts(job.uuid)
        cause = why() if left else Cause("", "", "")
        ended_at = _seconds(document.get("end_time")) or time.time()
        started_at = job.started_at or _seconds(document.get("start_time"))
        hours = 0.0 if started_at is None else max(0.0, ended_at - started_at) / 3600
        if job.wall_time_h is not None:  # the end of one that was killed is seen later
            hours = min(hours, job.wall_time_h)
        self._jobs.ended(job.uuid, hours * job.n_cores, cause.message if left else None)
        self._offsets.pop(job.uuid, None)
        if document:
            self._site.forget(job.uuid)
        for key in left:
            if cause.code in BROKEN_OFF and self._attempts.may_follow(key):
                yield QueueNews(key)
                continue
            where = f" (job {job.queue_id} of the queue)" if job.queue_id else ""
            outcome = Outcome(
                "failed",
                lost=True,
                code=cause.code,
                message=f"{cause.message}{where}",
                log_tail=cause.log_tail,
            )
            yield QueueNews(key, outcome)

    def _cause(self, job: QueueJob, document: dict[str, Any], error: str) -> Cause:
        """Why parts may lack an answer."""
        if document["state"] in ("USER_STOPPED", "STOPPED"):
            return Cause(CANCELLED_OUTSIDE, "it was stopped in jobflow-remote", "")
        if document["state"] == "REMOTE_ERROR" and document.get("previous_state") in _NEVER_RAN:
            unknown = Cause(SUBMISSION_FAILED, f"it could not be sent: {_last_line(error)}", error)
            return self._why_not_sent(job, error) or unknown
        remote = document.get("remote") or {}
        queue_id = remote.get("process_id") or job.queue_id
        said = what_scheduler_says(
            self._site.execute_on(job.worker), self._site.scheduler(job.worker), queue_id
        )
        if _NO_ANSWER.search(error):  # which is no error of the job's
            error = ""
        found = diagnose(said, self._written(job, document), error)
        if found.code in _MAY_BE_A_FULL_DISK:
            return self._disk_full(job, "") or found
        return found

    def _written(self, job: QueueJob, document: dict[str, Any]) -> str:
        """What it wrote to its standard output and error, and its scheduler with it."""
        if not (run_dir := document.get("run_dir")):
            return ""
        contents = (self._site.read(job.worker, f"{run_dir}/{name}") for name in _WRITTEN)
        return "\n".join((content or b"").decode(errors="replace") for content in contents)


def _seconds(date: Any) -> float | None:
    """Of a date as the queue database gives it back: naive, and UTC."""
    if not isinstance(date, datetime):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
