"""What is made of what jobflow-remote says of jobs that were not sent, or not heard of."""

from __future__ import annotations

import time

import pytest

from workflows.cluster.diagnosis import why_waiting
from workflows.cluster.endings import Endings
from workflows.cluster.queue_jobs import QueueJob, QueueJobs
from workflows.cluster.site import Unreachable
from workflows.execution.jobs import JobRecord, JobTable

DISK = "OSError: [Errno 28] No space left on device"
IN_PARAMIKO = 'Traceback (most recent call last):\n  File "/lib/paramiko/client.py", line 1\n'
LOST_CONNECTION = f"{IN_PARAMIKO}paramiko.ssh_exception.SSHException: SSH session not active"
LOST_FILE = (
    "Remote error: file /scratch/queue/jfremote_out.json for job 1 does not exist\ncaused by:\n"
    f"{IN_PARAMIKO}FileNotFoundError: [Errno 2] No such file"
)
SQUEUE = (
    "Traceback ...\nqtoolkit.CommandFailedError: slurm_load_jobs error: Unable to contact slurm"
)


class Cluster:
    """One that answers, or not, whatever it is asked."""

    polling_s = 1.0

    def __init__(self):
        self.answers = True
        self.is_scratch_full = False
        self.stopped, self.retried = [], []

    def execute_on(self, worker):
        def execute(command):
            if not self.answers:
                raise Unreachable
            return "", "", 0

        return execute

    def is_full(self, worker):
        self.execute_on(worker)("head")
        return self.is_scratch_full

    def work_root(self, worker):
        return "/scratch/jobs"

    def is_here(self, worker):
        return False

    def scheduler(self, worker):
        return "slurm"

    def read(self, worker, path):
        return None

    def stop(self, uuid):
        self.stopped.append(uuid)

    def retry(self, uuid):
        self.retried.append(uuid)

    def forget(self, uuid):
        pass


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def tell(tmp_path, cluster):
    """What there is to tell of a job of one relaxation, by the document that there is of it."""
    table = JobTable(tmp_path / "results.sqlite")
    table.claim([JobRecord("relax-1", 1, "relax", "relax", "A", (), "error", b"{}")], 1)
    job = QueueJob("queue-1", "relax", "main", 1, None, 0.1, time.time())
    QueueJobs(table).sent([(job, [("relax-1", 1)])])
    endings = Endings(table, cluster)

    def told(state, error, step_attempts=2, **fields):
        remote = {"step_attempts": step_attempts, "error": error}
        return list(endings.news(job, {"state": state, "remote": remote, **fields}))

    return told


def refused(stderr):
    return f"Remote error: submission failed. SubmissionResult(exit_code=1, {stderr=}, status=<X>)"


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: invalid partition specified: nowhere\n",
        "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or "
        "exceeds some limit)\n",
        "sbatch: error: Batch job submission failed: Invalid account or account/partition "
        "combination specified\n",
        "qsub: Job exceeds queue and/or server resource limits\n",
        "qsub: Unknown queue\n",
    ],
)
def test_what_is_refused_for_good_fails_with_what_was_said(tell, cluster, said):
    assert tell("UPLOADED", refused(said), step_attempts=1) == []
    (news,) = tell("UPLOADED", refused(said))
    assert news.outcome.code == "SUBMISSION_FAILED"
    assert news.outcome.message == f"the scheduler did not take it: {said.strip()}"
    assert cluster.stopped == ["queue-1"]


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed\n",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller\n",
        "sbatch: error: Batch job submission failed: Required partition not available (inactive or "
        "drain)\n",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
        "qsub: would exceed queue generic's per-user limit\n",
        "Unable to run job: job rejected: Only 10 jobs are allowed per user.\n",
    ],
)
def test_what_is_refused_for_now_waits(tell, cluster, said):
    assert tell("UPLOADED", refused(said), step_attempts=7) == []
    assert tell("REMOTE_ERROR", refused(said), previous_state="UPLOADED") == []
    assert cluster.stopped == []
    assert cluster.retried == ["queue-1"]


def test_a_full_scratch_is_seen_by_its_error_or_by_a_look(tell, cluster):
    assert tell("CHECKED_OUT", "OSError: Failure") == []
    cluster.is_scratch_full = True
    assert tell("CHECKED_OUT", "OSError: Failure") == [], "one look for each attempt"
    (news,) = tell("CHECKED_OUT", "OSError: Failure", step_attempts=3)
    assert news.outcome.code == "DISK_FULL"
    assert "/scratch/jobs" in news.outcome.message


def test_a_full_scratch_needs_no_look_where_the_error_says_it(tell):
    (news,) = tell("CHECKED_OUT", DISK)
    assert news.outcome.code == "DISK_FULL"


@pytest.mark.parametrize(
    ("state", "previous", "error"),
    [
        ("SUBMITTED", None, LOST_CONNECTION),
        ("RUNNING", None, SQUEUE),
        ("RUN_FINISHED", None, LOST_CONNECTION),
        ("REMOTE_ERROR", "RUN_FINISHED", LOST_CONNECTION),
        ("REMOTE_ERROR", "RUNNING", SQUEUE),
    ],
)
def test_a_cluster_that_did_not_answer_is_asked_again_once_it_does(
    tell, cluster, state, previous, error
):
    cluster.answers = False
    with pytest.raises(Unreachable):
        tell(state, error, previous_state=previous)
    assert cluster.retried == []
    cluster.answers = True
    for _ in range(2):  # and then not at once again
        assert all(news.outcome is None for news in tell(state, error, previous_state=previous))
    assert cluster.retried == ["queue-1"]


def test_a_job_that_left_no_answer_was_killed(tell, cluster):
    (news,) = tell("REMOTE_ERROR", LOST_FILE, previous_state="RUN_FINISHED")
    assert news.outcome is None, "it is tried again by itself"
    assert cluster.retried == [], "but not to fetch its answer"


def test_why_jobs_wait_in_words_of_slurm():
    said = "7 PartitionTimeLimit\n8 None\n9 ReqNodeNotAvail, UnavailableNodes:n1\n"
    found = why_waiting(lambda command: (said, "", 0), "slurm", ["7", "8", "9"])
    assert found == {"7": "PartitionTimeLimit", "9": "ReqNodeNotAvail, UnavailableNodes:n1"}
    assert why_waiting(lambda command: (said, "", 0), "sge", ["7"]) == {}
