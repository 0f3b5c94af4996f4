"""What Halideflow adds to jobflow-remote: sending thousands of candidates, and running each job.

Submission: `halideflow submit` of a campaign of thousands of candidates, from the command to the
last relaxation in jobflow-remote's database, as many jobs of the queue as there are candidates (the
worst case: VASP) and in batches (the embedded potential). Wall time, and memory of all processes
together, where pages that they share count for each. Against it stands a loop that makes the same
relaxations and hands each to jobflow-remote as a flow of its own.

Overhead: the same relaxations by the embedded potential, one job of the queue each, on a Slurm of
two cores: through `halideflow submit`, and at the same time through jobflow-remote alone, with its
own runner and its own command in the jobs. A trap at the start of every job script has the shell
write down, when it exits, the CPU time of all that ran in it. The shares of the runners, and on our
side of the process that sends jobs and takes in answers, are added. Then ours once more in batches.

The queue database is the tests' stand-in, a process of its own, slower than MongoDB, and serves
both. Nothing starts while candidates are sent: the worker takes one job, and that sleeps.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

from cluster_campaigns import QueueDatabase
from cluster_overhead import is_available, overhead
from cluster_submission import submission


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="halideflow-") as name:
        folder = Path(name)
        (folder / "projects").mkdir()
        os.environ["JFREMOTE_PROJECTS_FOLDER"] = str(folder / "projects")  # read when imported
        os.environ["OMP_NUM_THREADS"] = "1"
        with QueueDatabase.start(folder / "database") as database:
            parts = [submission(folder / "submission", database)]
            if is_available():
                parts.append(overhead(folder / "overhead", database))
            else:
                print("Slurm is not installed (Debian: slurm-wlm, munge): no overhead is measured")
    print(
        json.dumps(
            {
                "benchmark": "cluster",
                "ratios": {key: value for part in parts for key, value in part.ratios.items()},
                "correct": all(part.correct for part in parts),
                **{key: value for part in parts for key, value in part.found.items()},
                "clock": "submission: wall time; overhead: CPU time",
            }
        )
    )


if __name__ == "__main__":
    main()
