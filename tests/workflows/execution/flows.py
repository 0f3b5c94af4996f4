"""Small jobs with every behaviour that jobflow's Response knows; importable by worker processes."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from jobflow import Flow, Job, OnMissing, Response, job

from screening.documents import StageDocument
from workflows.execution.folders import OWN_ATTEMPTS
from workflows.stages.boundary import failure_of


@job
def total(values, constant=0):
    """Sum of what is known; None counts as 1000, so that a missing reference shows."""
    return constant + sum(1000 if value is None else value for value in values)


@job
def chain(value, length):
    if length == 0:
        return value
    return Response(output=value, replace=chain(value + 1, length - 1))


@job
def fan_out(value, width):
    jobs = [total([value], constant=i) for i in range(width)]
    for number, member in enumerate(jobs):
        member.name = f"fan-{width}-{number}"
    collected = total([member.output for member in jobs])
    collected.name = f"fan-{width}-sum"
    return Response(replace=Flow([*jobs, collected], output=collected.output))


@job
def take_detour(value):
    aside = total([value], constant=7)
    aside.name = "aside"
    return Response(output=value * 2, detour=aside)


@job
def add_work(value):
    extra = total([value], constant=11)
    extra.name = "extra"
    return Response(output=value * 3, addition=extra)


@job
def stop_children(value):
    return Response(output=value, stop_children=True)


@job
def stop_flow(value):
    return Response(output=value, stop_jobflow=True)


@job
def store_aside(value):
    return Response(output=value, stored_data={"kept": value})


@job
def fail(value):
    raise ArithmeticError(f"cannot do {value}")


@job
def replaced_by_failure(value):
    return Response(replace=fail(value))


@job(output_schema=StageDocument)
def stage_that_fails():
    return StageDocument(state="failed", failure=failure_of(ArithmeticError("no answer")))


@job
def note(folder, label, seconds=0.0):
    """Leave a trace of having been executed, then take some time."""
    with (Path(folder) / "executed").open("a") as file:
        file.write(f"{label}\n")
    time.sleep(seconds)
    return label


@job
def die_and_count(deaths):
    """Count its own deaths where the executor finds the count; after so many, end by itself."""
    count = Path(OWN_ATTEMPTS)
    died = int(count.read_text()) if count.exists() else 0
    if died < deaths:
        count.write_text(str(died + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return died


@job
def die(folder, deaths):
    """Be killed the first `deaths` times."""
    marks = sorted(Path(folder).glob("death-*"))
    if len(marks) < deaths:
        (Path(folder) / f"death-{len(marks)}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return len(marks)


@job
def count_in_working_folder(stop_at):
    """Write one mark a call into the working folder; die until there are enough."""
    marks = len(list(Path.cwd().glob("mark-*")))
    Path(f"mark-{marks}").touch()
    if marks + 1 < stop_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return marks + 1


@job
def thread_count():
    import torch

    return torch.get_num_threads()


def random_flow(seed: int) -> Flow:
    """A random graph of jobs that replace, detour, add, stop and fail."""
    rng = random.Random(seed)
    kinds = [
        lambda value: total([value], constant=1),
        lambda value: chain(value, rng.randint(1, 3)),
        lambda value: fan_out(value, rng.randint(1, 4)),
        take_detour,
        add_work,
        store_aside,
        stop_children,
        fail,
        replaced_by_failure,
    ]
    jobs: list[Job] = [total([seed])]
    for number in range(rng.randint(4, 12)):
        parents = rng.sample(jobs, k=min(len(jobs), rng.randint(1, 3)))
        if rng.random() < 0.5:
            made = total([parent.output for parent in parents], constant=number)
        else:
            made = rng.choice(kinds)(parents[0].output)
        if rng.random() < 0.4:
            made.update_config({"on_missing_references": OnMissing.NONE}, dynamic=False)
        jobs.append(made)
    for number, member in enumerate(jobs):
        member.name = f"{seed}-{number}-{member.name}"
    return Flow(jobs, name=f"random-{seed}")


@job
def sleeping(seconds):
    time.sleep(seconds)
    return seconds


@job
def fail_unless(path):
    if not Path(path).exists():
        raise ArithmeticError("not yet")
    return 1


@job
def spawn_known(_, uuid, folder):
    """Answers with a job whose uuid is known, as those of stages are."""
    spawned = count_and_sleep(folder)
    spawned.set_uuid(uuid)
    spawned.name = "long"
    return Response(detour=spawned)


@job
def count_and_sleep(folder):
    with (Path(folder) / "started").open("a") as file:
        file.write("x")
    time.sleep(5)
    return 1
