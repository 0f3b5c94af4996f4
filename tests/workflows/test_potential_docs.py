"""The code in docs/potential.md runs, and gives what is said beside it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from workflows.engines.chgnet import weights_file

PAGE = (Path(__file__).parents[2] / "docs/potential.md").read_text(encoding="utf-8")


def test_all_blocks_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, "docs/potential.md", "exec"), names)
    told = capsys.readouterr().out
    assert all(f"('{name}', " in told for name in ("KCl", "NaCl", "KTaCl6"))
    assert told.count("0.08 None") == 4  # ps between the first and the last of five frames
    assert names["relaxed"].volume ** (1 / 3) == pytest.approx(5.64, rel=0.03)
    for run in names["runs"]:
        assert np.isfinite(run.kinetic_temperatures_K).all()
        assert run.atoms.calc.n_evaluations == 51


@pytest.mark.parametrize("model", ["0.3.0", "r2scan"])
def test_errors_are_those_of_the_authors(model):
    readme = (weights_file(model).parent / "README.md").read_text(encoding="utf-8")
    test = re.search(r"^\| Test +\| ([\d.]+) +\| ([\d.]+) +\| ([\d.]+) ", readme, re.MULTILINE)
    energy_meV, force_meV_per_A, stress_GPa = map(float, test.groups())
    said = f"{energy_meV:.0f} meV/atom, {force_meV_per_A:.0f} meV/Å and {stress_GPa:.2f} GPa"
    assert said in " ".join(PAGE.split())
