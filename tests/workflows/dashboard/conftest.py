"""A finished campaign with every kind of end."""

from __future__ import annotations

import shutil

import pytest
from campaigns import EVERY_END, halideflow, write_campaign


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Config of a campaign of which one candidate went through, one was rejected, one failed."""
    folder = tmp_path_factory.mktemp("finished")
    config = write_campaign(folder, EVERY_END, temperatures=(300.0, 600.0), max_e_hull=0.005)
    run = halideflow("run", config, "--workers", 2)
    assert run.returncode == 4, run.stderr
    return config


@pytest.fixture
def copy(finished, tmp_path):
    """The same, to be changed."""
    shutil.copytree(finished.parent, tmp_path / "copy")
    return tmp_path / "copy" / finished.name
