"""The embedded potential against CHGNet as it ships, same weights, one thread.

MD steps: ASE's Nosé–Hoover chain at 600 K, 2 fs, from the same velocities, in turns of a few steps;
the peer is `CHGNetCalculator`, which computes stress and magnetic moments with every step, and for
`…_vs_forces_only` the same calculator asked for nothing but energy and forces. `batch16_*`: energy,
forces and stress of 16 structures, one after the other by the peer's calculator, as one batch by
ours; the package's own batches are the peer of `…_vs_stock_batch`. `relax_8x32`: eight cells of 32
atoms relaxed by atomate2's Maker, with the peer's calculator one after the other, with ours
together.

A ratio is the peer's CPU time over ours. Positions after the steps, energies, forces and stresses,
and relaxed energies have to agree.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import thermalize_momenta
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core.structure import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from screening.potential.calculator import PotentialCalculator
from screening.potential.evaluation import Evaluation, Potential
from screening.potential.graph import Crystal
from screening.potential.together import run_together
from screening.prototypes.phases import reference_structure
from workflows.config import EngineSettings, RelaxSettings
from workflows.engines import load_engine
from workflows.engines.chgnet import weights_file

MODEL = "0.3.0"
ROUNDS = 7
STEPS = 6
TEMPERATURE_K = 600.0
TIMESTEP_FS = 2.0
MD_SYSTEMS = {
    "md_li3ycl6_60": ("Li3YCl6", (2, 1, 1)),
    "md_ktacl6_128": ("KTaCl6", (4, 2, 2)),
    "md_li3ycl6_240": ("Li3YCl6", (2, 2, 2)),
}
BATCHES = {"batch16_32atoms": ("KTaCl6", (2, 2, 1)), "batch16_8atoms": ("KTaCl6", (1, 1, 1))}
POSITIONS_A, ENERGY_EV_PER_ATOM, FORCE_EV_PER_A, STRESS_GPA = 1e-3, 1e-5, 2e-4, 1e-3
RELAXED_EV_PER_ATOM = 1e-4


class ForcesOnly(CHGNetCalculator):
    """The package's calculator, asked for energy and forces."""

    def calculate(self, atoms: Any = None, properties: Any = None, changes: Any = None) -> None:
        """Neither stress nor magnetic moments."""
        super().calculate(atoms, properties, changes, task="ef")


def crystal(name: str, repeats: Sequence[int], seed: int = 0) -> Structure:
    """A rattled supercell of a reference phase."""
    made = reference_structure(name).copy()
    made.make_supercell(repeats)
    made.perturb(0.05, seed=seed)
    return made


def moving(structure: Structure, calculator: Calculator) -> tuple[Atoms, NoseHooverChainNVT]:
    """Atoms at 600 K and what moves them."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = calculator
    thermalize_momenta(atoms, TEMPERATURE_K, rng=np.random.default_rng(0))
    return atoms, NoseHooverChainNVT(
        atoms,
        timestep=TIMESTEP_FS * units.fs,
        temperature_K=TEMPERATURE_K,
        tdamp=100 * units.fs,
    )


def cpu_s(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start_s = time.process_time()
    work()
    return time.process_time() - start_s


def in_turns(works: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median CPU seconds of each, one after the other in every round, the first one for nothing."""
    times_s: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            times_s[name].append(cpu_s(work))
    return {name: median(each[1:]) for name, each in times_s.items()}


def compare_dynamics(stock: CHGNet, potential: Potential) -> tuple[dict[str, float], bool]:
    """Ratios of an MD step, and whether all runs went the same way."""
    ratios, correct = {}, True
    for key, (name, repeats) in MD_SYSTEMS.items():
        structure = crystal(name, repeats)
        runs = {
            "stock": moving(structure, CHGNetCalculator(stock)),
            "forces only": moving(structure, ForcesOnly(stock)),
            "ours": moving(structure, PotentialCalculator(potential)),
        }
        times_s = in_turns({run: lambda md=md: md.run(STEPS) for run, (_, md) in runs.items()})
        for run, took_s in times_s.items():
            print(f"{key} {run}: {took_s / STEPS:.4f} CPU s a step")
        ratios[key] = times_s["stock"] / times_s["ours"]
        ratios[f"{key}_vs_forces_only"] = times_s["forces only"] / times_s["ours"]
        ours_A, theirs_A = (runs[run][0].get_positions() for run in ("ours", "stock"))
        correct = correct and bool(np.abs(ours_A - theirs_A).max() < POSITIONS_A)
    return ratios, correct


def agree(ours: Evaluation, theirs: dict[str, Any], n_atoms: int) -> bool:
    """Whether an evaluation is the package's prediction."""
    return bool(
        abs(ours.energy_eV / n_atoms - theirs["e"]) < ENERGY_EV_PER_ATOM
        and np.abs(ours.forces_eV_per_A - theirs["f"]).max() < FORCE_EV_PER_A
        and np.abs(ours.stress_eV_per_A3 / units.GPa - theirs["s"]).max() < STRESS_GPA
    )


def compare_batches(stock: CHGNet, potential: Potential) -> tuple[dict[str, float], bool]:
    """Ratios of single points in batches, and whether all of them agree."""
    ratios, correct = {}, True
    calculator = CHGNetCalculator(stock)
    for key, (name, repeats) in BATCHES.items():
        structures = [crystal(name, repeats, seed) for seed in range(16)]
        cells = [AseAtomsAdaptor.get_atoms(each, msonable=False) for each in structures]
        crystals = [Crystal(each.numbers, each.positions, each.cell.array) for each in cells]

        def one_by_one(cells: Sequence[Atoms] = cells) -> None:
            for atoms in cells:
                calculator.calculate(atoms)

        times_s = in_turns(
            {
                "stock": one_by_one,
                "stock, batch": lambda s=structures: stock.predict_structure(s, task="efs"),
                "ours": lambda c=crystals: potential.evaluate(c),
            }
        )
        for run, took_s in times_s.items():
            print(f"{key} {run}: {took_s / 16:.4f} CPU s a structure")
        ratios[key] = times_s["stock"] / times_s["ours"]
        ratios[f"{key}_vs_stock_batch"] = times_s["stock, batch"] / times_s["ours"]
        predictions = stock.predict_structure(structures, task="efs")
        for ours, theirs in zip(potential.evaluate(crystals), predictions, strict=True):
            correct = correct and agree(ours, theirs, len(structures[0]))
    return ratios, correct


def compare_relaxations(stock: CHGNet) -> tuple[dict[str, float], bool]:
    """Ratio of eight relaxations, and whether they end at the same energies."""
    structures = [crystal("KTaCl6", (2, 2, 1), seed) for seed in range(8)]
    settings, engine = RelaxSettings(), load_engine(EngineSettings(model=MODEL))
    maker = ForceFieldRelaxMaker(
        force_field_name="CHGNet",
        steps=settings.max_steps,
        relax_kwargs={"fmax": settings.max_force_eV_per_A, "final_atoms_object_file": None},
    )
    maker._calculator = CHGNetCalculator(stock)
    energies: dict[str, list[float]] = {}

    def with_stock() -> None:
        results = [maker.run_ase(each) for each in structures]
        energies["stock"] = [
            float(result.trajectory.frame_properties[-1]["energy"]) / 32 for result in results
        ]

    def with_ours() -> None:
        programs = iter([lambda s=s: engine.relax(s, settings) for s in structures])
        ended = run_together(lambda: next(programs, None), n_atoms=64)
        values = {each.index: each.value for each in ended}
        energies["ours"] = [values[n].energy_eV_per_atom for n in range(8)]

    times_s = in_turns({"stock": with_stock, "ours": with_ours}, rounds=3)
    for run, took_s in times_s.items():
        print(f"relax_8x32 {run}: {took_s:.2f} CPU s")
    difference = np.abs(np.subtract(energies["ours"], energies["stock"])).max()
    return {"relax_8x32": times_s["stock"] / times_s["ours"]}, bool(
        difference < RELAXED_EV_PER_ATOM
    )


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        stock = CHGNet.load(model_name=MODEL, use_device="cpu", verbose=False)
        CHGNetCalculator(stock)
    potential = Potential(weights_file(MODEL), "cpu")
    ratios, correct = {}, True
    for found, agrees in (
        compare_dynamics(stock, potential),
        compare_batches(stock, potential),
        compare_relaxations(stock),
    ):
        ratios |= {key: round(value, 2) for key, value in found.items()}
        correct = correct and agrees
    print(json.dumps({"benchmark": "potential", "ratios": ratios, "correct": correct}))


if __name__ == "__main__":
    main()
