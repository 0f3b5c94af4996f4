"""A finished campaign, of which one candidate went through, one was rejected and one failed."""

from __future__ import annotations

import pytest
from campaigns import EVERY_END, halideflow, write_campaign

from workflows.cli.results import open_results
from workflows.ingredients import ingredients

MARKUP = "<script>alert('file')<!--&-->"
"""What a careless template would let into the page: the name of a structure file."""


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    done, *others = EVERY_END.items()
    structures = {f"kcl{MARKUP.replace('/', '')}": done[1], **dict(others)}
    folder = tmp_path_factory.mktemp("reported")
    config = write_campaign(folder, structures, temperatures=(300.0, 600.0), max_e_hull=0.005)
    text = config.read_text()
    for name in structures:
        text = text.replace(f"path: {name}.cif", f'path: "{name}.cif"')
    config.write_text(f"{text}description: \"<script>alert('config')</script>\"\n")
    run = halideflow("run", config, "--workers", 2)
    assert run.returncode == 4, run.stderr
    return config


@pytest.fixture
def results(config):
    opened = open_results(config)
    yield opened
    opened.close()


@pytest.fixture
def used(results):
    return ingredients(results)
