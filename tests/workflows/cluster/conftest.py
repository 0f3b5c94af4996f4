"""Clusters in small: a Slurm of its own, and what stands in for jobflow-remote's database."""

from __future__ import annotations

import jobflow_remote
import pytest
from queue_database import QueueDatabase
from slurm import SlurmCluster, is_available


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """One Slurm for all tests; who kills its node starts a cluster of their own."""
    if not is_available():
        pytest.skip("Slurm and munge are not installed (Debian: slurm-wlm, munge)")
    with SlurmCluster.start(tmp_path_factory.mktemp("slurm"), n_cores=4) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def queue_database(tmp_path_factory):
    """One server for all tests; who kills it starts one of their own."""
    with QueueDatabase.start(tmp_path_factory.mktemp("queue_database")) as database:
        yield database


@pytest.fixture
def projects_folder(tmp_path, monkeypatch):
    """jobflow-remote's folder of projects, empty, for this process and those it starts.

    jobflow-remote reads its settings once, when it is imported.
    """
    folder = tmp_path / "projects"
    folder.mkdir()
    monkeypatch.setenv("JFREMOTE_PROJECTS_FOLDER", str(folder))
    monkeypatch.setenv("JFREMOTE_CONFIG_FILE", str(folder / "none.yaml"))
    monkeypatch.delenv("JFREMOTE_PROJECT", raising=False)
    monkeypatch.setattr(jobflow_remote.SETTINGS, "projects_folder", str(folder))
    monkeypatch.setattr(jobflow_remote.SETTINGS, "project", None)
    return folder
