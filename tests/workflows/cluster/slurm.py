"""A real Slurm for tests: one node on loopback, without systemd, cgroups or a database.

    with SlurmCluster.start(tmp_path) as slurm:
        job = slurm.submit("sleep 60")
        slurm.wait_for_start(job)
        slurm.kill_node()
        assert slurm.wait_for_end(job) == "NODE_FAIL"

Every cluster has its own folder, ports, keys and node name, so that several run side by side.
Memory limits hold without cgroups (OverMemoryKill: slurmstepd adds up what a job's processes hold,
every second). The node may have more cores than the machine.

What Slurm 22.05 (Debian 12) says of how a job ended, as seen here: state, reason and exit code are
those of `scontrol show job`, which answers for MinJobAge = 600 s after the end, then "Invalid job
id specified" with exit code 1, as for an id that never was. `sacct -c` reads jobcomp/filetxt, knows
state and exit code, but no reason, and never forgets. (Real clusters with slurmdbd say "CANCELLED
by UID" in sacct.) The letters name what is in the job's stderr, see below.

    end                        state      reason            code    sacct -c   stderr
    well                       COMPLETED  None              0:0     COMPLETED  -
    exit 3                     FAILED     NonZeroExitCode   3:0     FAILED     -
    killed by SIGKILL          FAILED     JobLaunchFailure  0:9     FAILED     -
    time limit                 TIMEOUT    TimeLimit         0:15    TIMEOUT    (a)
    scancel while it ran       CANCELLED  None              0:15    CANCELLED  (b)
    scancel while it waited    CANCELLED  why it waited     0:0     CANCELLED  no file
    out of memory              FAILED     JobLaunchFailure  0:9     FAILED     (c)
    out of memory inside srun  FAILED     NonZeroExitCode   137:0   FAILED     (c), (d)
    node lost                  NODE_FAIL  NodeDown          0:0     NODE_FAIL  -
    node down, job still ran   NODE_FAIL  NodeDown          0:15    NODE_FAIL  (e)
    node lost, --requeue       PENDING    BeginTime         0:0     NODE_FAIL  -
    scontrol requeue           PENDING    BeginTime         0:0     none       (f)
    output cannot be written   FAILED     JobLaunchFailure  0:53    FAILED     no file
    no such work folder        as without; it runs in /tmp                     (g)

    all but (d) begin with "slurmstepd-NODE: error: "
    (a) *** JOB 6 ON NODE CANCELLED AT 2026-11-30T20:17:44 DUE TO TIME LIMIT ***
    (b) *** JOB 5 ON NODE CANCELLED AT 2026-11-30T20:17:27 ***
    (c) StepId=4.batch exceeded memory limit (425041920 > 104857600), being killed
        Exceeded job memory limit
        *** JOB 4 ON NODE CANCELLED AT 2026-11-30T20:17:26 ***
    (d) srun: error: NODE: task 0: Killed
    (e) as (a), with DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS
    (f) as (a), with DUE TO JOB REQUEUE
    (g) couldn't chdir to `/nowhere': No such file or directory: going to /tmp instead

A job that is requeued keeps its id and starts again after two minutes. Memory limits by cgroups, as
most real clusters have them, end as OUT_OF_MEMORY; that cannot be had here. A job that is cancelled
or at its time limit gets SIGTERM, and SIGKILL after KillWait = 5 s if it is still there; its code
is 0:9 then. slurmctld looks every 30 s for time limits that are due; `--signal=B:USR1@20` works and
is as inexact. Until all its processes are gone a job is COMPLETING, with its reason already there.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

PARTITIONS = ("main", "long")
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY")
_NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sacct")
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_CONFIG = """\
ClusterName=halideflow
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/ended_jobs.txt
MpiDefault=none
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={memory_per_core_MB}
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
ReturnToService=2
JobRequeue=0
MinJobAge=600
MaxJobCount=50000
SlurmctldTimeout=300
SlurmdTimeout=300
KillWait=5
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={n_cores} RealMemory={memory_MB}
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=long Nodes={node} MaxTime=INFINITE State=UP
"""


def is_available() -> bool:
    """Whether Slurm and munge are installed."""
    return all(shutil.which(name, path=_PATH) for name in _NEEDED)


class SlurmCluster:
    """Daemons of one cluster, which end with the `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.node = f"node{secrets.token_hex(3)}"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(cls, folder: Path, n_cores: int = 2, memory_per_core_MB: int = 4000) -> SlurmCluster:
        """A cluster whose node is idle.

        Args:
            folder: for its files; made where missing, empty at first.
            n_cores: of the node; may be more than this machine has.
            memory_per_core_MB: of the node, and what a job gets that asks for nothing else.
        """
        cluster = cls(folder)
        try:
            cluster._write_files(n_cores, memory_per_core_MB)
            cluster._start_munge()
            cluster._start_daemon("slurmctld", "-D", "-c")
            cluster._start_daemon("slurmd", "-D", "-c")
            cluster._wait_for_node("idle")
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def __enter__(self) -> SlurmCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands must find in the environment to talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands, or any other, against this cluster."""
        try:
            return subprocess.run(
                command, env=self._full_environment, capture_output=True, text=True, check=check
            )
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr.strip())
            raise

    def submit(self, script: str, *options: str) -> str:
        """Submit lines of shell with options of sbatch, such as "--time=1"; the id of the job."""
        output = ("--output", str(self.folder / "%j.out"), "--error", str(self.folder / "%j.err"))
        submitted = self.run("sbatch", "--parsable", *output, *options, "--wrap", script)
        return submitted.stdout.strip()

    def stderr(self, job: str) -> str:
        """What a job that was submitted here, and Slurm, wrote to its stderr."""
        path = self.folder / f"{job}.err"
        return path.read_text() if path.exists() else ""

    def squeue(self) -> dict[str, str]:
        """State of every job that waits, runs or is about to end."""
        listed = self.run("squeue", "--noheader", "--format=%i %T").stdout.split()
        return dict(zip(listed[::2], listed[1::2], strict=True))

    def scancel(self, *jobs: str) -> None:
        """Cancel jobs, or all of them."""
        self.run("scancel", *(jobs or ("--user", getpass.getuser())))

    def job(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says, such as JobState, Reason and ExitCode."""
        line = self.run("scontrol", "--oneliner", "show", "job", job).stdout
        return dict(word.split("=", 1) for word in line.split() if "=" in word)

    def recorded_state(self, job: str) -> str:
        """The state in which `sacct -c` recorded the end of a job."""
        return self.run("sacct", "-c", "-n", "-P", "-o", "State", "-j", job).stdout.strip()

    def wait_for_start(self, job: str, timeout_s: float = 300) -> None:
        """Return when a job runs, or has ended already.

        One that a busy node could not launch may be queued again, for two minutes at least.
        """
        self._wait_for_state(job, ("RUNNING", *ENDED), timeout_s)

    def wait_for_end(self, job: str, timeout_s: float = 240) -> str:
        """The state in which a job ended."""
        return self._wait_for_state(job, ENDED, timeout_s)

    def reach_time_limit(self, *jobs: str) -> None:
        """Let the time limits of running jobs fall now; slurmctld ends them within 30 s."""
        for job in jobs:
            self.run("scontrol", "update", f"JobId={job}", "EndTime=now+1seconds")

    def kill_node(self) -> None:
        """Crash the node with all that runs on it; slurmctld notices at once.

        Left to itself slurmctld notices SlurmdTimeout later, which on a busy machine must not be
        short; what it says of the jobs is the same.
        """
        self._kill("slurmd")
        self._kill_jobs()
        self.run("scontrol", "update", f"NodeName={self.node}", "State=DOWN", "Reason=killed")

    def revive_node(self) -> None:
        """Boot the node again and wait until it takes jobs."""
        self._start_daemon("slurmd", "-D", "-c")
        self._wait_for_node("idle", "mixed", "allocated")

    def stop(self) -> None:
        """End the daemons and all jobs."""
        self._end("slurmctld")
        self._kill("slurmd")
        self._kill_jobs()
        self._kill("munged")

    @property
    def _full_environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": _PATH, **self.environment}

    def _write_files(self, n_cores: int, memory_per_core_MB: int) -> None:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        controller_port, node_port = _free_ports(2)
        config = _CONFIG.format(
            folder=self.folder,
            host=socket.gethostname().split(".")[0],
            user=getpass.getuser(),
            node=self.node,
            controller_port=controller_port,
            node_port=node_port,
            n_cores=n_cores,
            memory_per_core_MB=memory_per_core_MB,
            memory_MB=memory_per_core_MB * n_cores,
        )
        (self.folder / "slurm.conf").write_text(config)

    def _start_munge(self) -> None:
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        folder = self.folder / "munge"
        options = [f"--{option}={folder / name}" for option, name in files.items()]
        # Folders of tests are their owner's alone, which munged would not have.
        self._start_daemon(
            "munged", "--foreground", "--force", f"--log-file={folder / 'log'}", *options
        )
        _wait((folder / "socket").exists, "munged opens its socket", 30, self._check)

    def _start_daemon(self, name: str, *options: str) -> None:
        program = shutil.which(name, path=_PATH)
        assert program
        # They end with this process even where it is killed.
        with_us = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*with_us, program, *options],
                cwd=self.folder,
                env=self._full_environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _check(self) -> None:
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} ended with code {daemon.returncode}:\n{log[-2000:]}")

    def _wait_for_node(self, *states: str) -> None:
        def ready() -> bool:
            answer = self.run("sinfo", "--noheader", "--format=%T", check=False)
            return any(state in answer.stdout.split() for state in states)

        _wait(ready, f"the node is {' or '.join(states)}", 60, self._check)

    def _wait_for_state(self, job: str, states: tuple[str, ...], timeout_s: float) -> str:
        def reached() -> bool:
            return self.job(job)["JobState"] in states

        _wait(reached, f"job {job} is {' or '.join(states)}", timeout_s, self._check)
        return self.job(job)["JobState"]

    def _kill(self, name: str) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is not None:
            daemon.kill()
            daemon.wait()

    def _end(self, name: str) -> None:
        """Let a daemon see to its own children."""
        if name in self._daemons:
            self._daemons[name].terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._daemons[name].wait(timeout=10)
        self._kill(name)

    def _kill_jobs(self) -> None:
        """Kill those who watch over jobs before these, lest they report how they ended."""
        watchers, jobs = [], []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SLURMD_NODENAME") == self.node:
                    jobs.append(process)
                elif process.name() == "slurmstepd" and process.cwd() == str(self.folder):
                    watchers.append(process)  # its title has overwritten its environment
        for process in (*watchers, *jobs):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        ended = [*watchers, *jobs]
        _wait(lambda: all(map(_has_ended, ended)), "the jobs were gone", 30, lambda: None)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)  # not all have a parent that cares
    except psutil.NoSuchProcess:
        return True


def _free_ports(n_ports: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n_ports)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait(
    reached: Callable[[], bool], what: str, timeout_s: float, check: Callable[[], None]
) -> None:
    """Wait until something holds; `check` raises where it cannot any more."""
    deadline = time.monotonic() + timeout_s
    while not reached():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{timeout_s:g} s passed before {what}")
        time.sleep(0.1)
