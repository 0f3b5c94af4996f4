"""What job scripts ask for, by qtoolkit's own templates and, for Slurm, by Slurm itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtoolkit.io import scheduler_mapping
from qtoolkit.io.pbs import PBSIO
from qtoolkit.io.slurm import SlurmIO

from screening.errors import InvalidInput
from workflows.cluster.resources import asked_for, memory_per_core_MB, resources_for_queue
from workflows.cluster.settings import ClusterSettings
from workflows.execution_settings import StageResources

WORKER = {"queue": "long", "account": "me"}
WIDE = StageResources(nodes=2, tasks=8, cores_per_task=4, gpus=4, memory_GB=100, wall_time_h=36.5)


def cluster(scheduler, **worker):
    return ClusterSettings(name="c", scheduler=scheduler, scratch="/s", workers={"w": worker})


def script(scheduler, resources, **worker):
    options = resources_for_queue(resources, "w", cluster(scheduler, **worker))
    text = scheduler_mapping[scheduler]().get_submission_script("run", options)
    return [line for line in text.splitlines() if line]


def test_slurm():
    lines = script("slurm", WIDE, **WORKER, qos="high", options={"constraint": "a100"})
    assert set(lines) == {
        "#!/bin/bash",
        "#SBATCH --partition=long",
        "#SBATCH --account=me",
        "#SBATCH --qos=high",
        "#SBATCH --constraint=a100",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks=8",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem-per-cpu=3200",
        "#SBATCH --gres=gpu:2",
        "#SBATCH --time=36:30:00",
        "run",
    }


def test_slurm_of_little():
    lines = script("slurm", StageResources())
    assert lines[1:-1] == [
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=1",
    ]


def test_gpus_of_a_kind_are_the_workers_own():
    lines = script("slurm", WIDE, options={"gres": "gpu:a100:4", "qverbatim": "#SBATCH --x=y"})
    assert "#SBATCH --gres=gpu:a100:4" in lines
    assert "#SBATCH --x=y" in lines


def test_pbs():
    lines = script("pbs", WIDE, **WORKER)
    assert set(lines) == {
        "#!/bin/bash",
        "#PBS -q long",
        "#PBS -A me",
        "#PBS -l select=2:ncpus=16:mpiprocs=4:ompthreads=4:mem=51200mb:ngpus=2",
        "#PBS -l place=scatter",
        "#PBS -l walltime=36:30:00",
        "run",
    }
    assert script("pbs", StageResources())[1:-1] == [
        "#PBS -l select=1:ncpus=1:mpiprocs=1:ompthreads=1"
    ]


def test_sge():
    wide = WIDE.model_copy(update={"nodes": 1, "gpus": 0})
    lines = script("sge", wide, **WORKER, parallel_environment="mpi", options={"select": "arch=lx"})
    assert set(lines) == {
        "#!/bin/bash",
        "#$ -q long",
        "#$ -P me",
        "#$ -pe mpi 32",
        "#$ -l arch=lx,h_vmem=3200M",
        "#$ -l h_rt=36:30:00",
        "#$ -S /bin/bash",
        "run",
    }
    assert script("sge", StageResources()) == ["#!/bin/bash", "#$ -S /bin/bash", "run"]


def test_shell_has_no_queue():
    assert resources_for_queue(WIDE, "w", cluster("shell")) == {}


@pytest.mark.parametrize(
    ("scheduler", "resources", "message"),
    [
        ("slurm", {"nodes": 2, "gpus": 3}, "gpus: 3 on nodes: 2; needed: as many on each node"),
        ("pbs", {"nodes": 2, "tasks": 3}, "tasks: 3 on nodes: 2; needed: as many on each node"),
        ("sge", {"nodes": 2}, "nodes: 2; SGE spreads tasks as its parallel environment says"),
        ("sge", {"gpus": 1}, "gpus: 1; SGE calls them otherwise on every cluster"),
        ("sge", {"tasks": 2}, "2 cores; SGE needs a parallel environment for more than one"),
    ],
)
def test_what_cannot_be_asked_for(scheduler, resources, message):
    with pytest.raises(InvalidInput, match=message):
        resources_for_queue(StageResources(**resources), "w", cluster(scheduler))


def test_a_scheduler_of_another_kind():
    with pytest.raises(InvalidInput, match="scheduler lsf: it is not known how to ask it"):
        asked_for(StageResources(), "lsf", {})


@given(tasks=st.integers(1, 256), cores=st.integers(1, 64), memory_GB=st.floats(0.01, 5000))
def test_the_memory_of_all_cores_is_just_what_was_asked_for(tasks, cores, memory_GB):
    resources = StageResources(tasks=tasks, cores_per_task=cores, memory_GB=memory_GB)
    per_core_MB = memory_per_core_MB(resources)
    assert per_core_MB * tasks * cores >= 1024 * memory_GB * (1 - 1e-6)
    assert (per_core_MB - 1) * tasks * cores < 1024 * memory_GB


@given(hours=st.floats(0.001, 1000))
def test_qtoolkit_reads_the_time_that_was_asked_for(hours):
    seconds = math.ceil(round(3600 * hours, 3))
    resources = StageResources(wall_time_h=hours)
    assert SlurmIO._convert_str_to_time(asked_for(resources, "slurm", {})["time"]) == seconds
    assert PBSIO._convert_str_to_time(asked_for(resources, "pbs", {})["walltime"]) == seconds


def test_slurm_understands_it_so(slurm, tmp_path):
    asked = StageResources(tasks=2, cores_per_task=2, memory_GB=1, wall_time_h=25.5)
    path = tmp_path / "job.sh"
    text = script("slurm", asked, queue="long")
    path.write_text("\n".join([*text[:-1], f"#SBATCH --output={tmp_path}/out", "true"]))
    job = slurm.run("sbatch", "--parsable", str(path)).stdout.strip()
    told = slurm.job(job)
    assert told["Partition"] == "long"
    assert (told["NumTasks"], told["CPUs/Task"], told["NumCPUs"]) == ("2", "2", "4")
    assert told["TimeLimit"] == "1-01:30:00"
    assert told["MinMemoryCPU"] == "256M"
