"""A scratch without room: before jobs are sent, and while they run."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from campaigns import SMALL, halideflow, ranking, write_campaign
from on_slurm import cluster_of, codes, drivers, freeze, queue_ids, sent_to, states, until
from slurm import is_available

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_available(), reason="needs Slurm and munge"),
]


@contextlib.contextmanager
def small_disk(folder):
    """Of four megabytes."""
    folder.mkdir(parents=True)
    options = ("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    if subprocess.run(["mount", *options, folder], check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Leave no room; the file to remove."""
    file = folder / "of_somebody_else"
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 512)
    return file


def test_jobs_wait_for_room_and_then_finish(slurm, queue_database, tmp_path):
    one = {"kcl": SMALL["kcl-a"]}
    config, local = (
        write_campaign(tmp_path / name, one, temperatures=(300.0,)) for name in ("c", "local")
    )
    assert halideflow("run", local).returncode == 0
    with (
        small_disk(tmp_path / "cluster" / "scratch") as scratch,
        cluster_of(slurm, queue_database, tmp_path / "cluster"),
    ):
        filler = fill(scratch)
        assert halideflow("submit", sent_to(config)).returncode == 3
        until(lambda: not drivers(config), "nothing can be sent")
        assert states(config, "relax") == ["failed"]
        assert codes(config) >= {"DISK_FULL"}
        failures = " ".join(halideflow("failures", config).stdout.split())
        assert f"no space is left at {scratch}" in failures
        assert f"halideflow retry {config} --reason DISK_FULL" in failures

        filler.unlink()
        assert halideflow("retry", config, "--reason", "DISK_FULL").returncode == 0
        assert halideflow("submit", config).returncode == 3
        until(lambda: any(scratch.glob("*/jobs/*/frames-*.npz")), "the dynamics is on its way")
        frozen = freeze(queue_ids(config, "dynamics")[0])
        filler = fill(scratch)
        for process in frozen:
            process.resume()
        until(lambda: not drivers(config), "nothing can be written")
        assert codes(config) == {"DISK_FULL", "LOST"}

        filler.unlink()
        assert halideflow("retry", config, "--reason", "DISK_FULL").returncode == 0
        finished = halideflow("submit", config, "--wait")
        assert finished.returncode == 0, finished.stderr
    assert ranking(config) == ranking(local)
