"""What VASP's files have in common: the tags of a run, and its ionic steps one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from screening.errors import InvalidInput
from workflows.trajectory_files.contents import FRAMES_PER_BLOCK, Block, Contents, CutShort

MOLECULAR_DYNAMICS = "0"  # value of IBRION
_MICROCANONICAL = -3.0  # value of SMASS
_ANDERSEN, _NOSE_HOOVER = 1, (2, 4)  # values of MDALGO
_THINNED_FROM = (6, 4, 3)


@dataclass(frozen=True)
class IonicStep:
    """One step.

    Args:
        fractional: shape (n_atoms, 3).
        cell_A: shape (3, 3).
        forces_eV_per_A: shape (n_atoms, 3); None where the file is silent.
        energy_eV: free energy, which the forces are the derivatives of; None likewise.
        kinetic_temperature_K: None where nothing moves.
        total_eV: of atoms and thermostat; None where nothing moves.
    """

    fractional: NDArray[np.float64]
    cell_A: NDArray[np.float64]
    forces_eV_per_A: NDArray[np.float64] | None
    energy_eV: float | None
    kinetic_temperature_K: float | None
    total_eV: float | None


def as_dynamics(steps: Contents, tags: dict[str, str], name: str) -> Contents:
    """Steps as those of a run at one temperature, with what the tags say of it.

    Raises:
        InvalidInput: no molecular dynamics, or at no constant temperature.
    """
    ibrion = tags.get("IBRION", "")
    if ibrion != MOLECULAR_DYNAMICS:
        raise InvalidInput(
            f"{name}: IBRION = {ibrion or 'not set'}, which is no molecular dynamics; needed: a "
            f"run with IBRION = {MOLECULAR_DYNAMICS}"
        )
    begin_K, end_K = (number(tags, key, name) for key in ("TEBEG", "TEEND"))
    if begin_K is not None and end_K is not None and begin_K != end_K:
        raise InvalidInput(
            f"{name}: heated or cooled from {begin_K:g} to {end_K:g} K (TEBEG, TEEND); needed: one "
            "temperature, so give the run after the ramp"
        )
    notes: tuple[str, ...] = ()
    is_nose = not number(tags, "MDALGO", name)
    if is_nose and number(tags, "SMASS", name) == _MICROCANONICAL:
        notes = (f"{name}: no thermostat (SMASS = -3); TEBEG is where the run began",)
    timestep_fs = number(tags, "POTIM", name)
    return replace(steps, notes=notes, timestep_fs=timestep_fs, temperature_K=begin_K)


def conserves_energy(tags: dict[str, str], name: str) -> bool:
    """Whether the energy of atoms and thermostat would be constant if time steps were short.

    So it is with Nosé's thermostat, with chains of them, and without any. What thermostats by
    chance or by scaling exchange is not in the total that VASP writes.

    Reference:
        https://www.vasp.at/wiki/index.php/MDALGO, https://www.vasp.at/wiki/index.php/SMASS
    """
    algorithm = number(tags, "MDALGO", name) or 0
    if algorithm == _ANDERSEN:
        return number(tags, "ANDERSEN_PROB", name) == 0
    mass = number(tags, "SMASS", name)
    is_nose = mass is not None and (mass >= 0 or mass == _MICROCANONICAL)
    return algorithm in _NOSE_HOOVER or (algorithm == 0 and is_nose)


def stride(tags: dict[str, str], name: str) -> int:
    """Steps between two that a file holds.

    Reference:
        https://www.vasp.at/wiki/index.php/ML_OUTBLOCK (which file holds what how often)
    """
    version = tuple(int(part) for part in re.findall(r"\d+", tags.get("version", ""))[:3])
    thinned = number(tags, "ML_OUTBLOCK", name) if version >= _THINNED_FROM else None
    return int(thinned or 1)


def number(tags: dict[str, str], key: str, name: str) -> float | None:
    """The value of a tag; None where it is not set.

    Raises:
        InvalidInput: it is no number.
    """
    text = tags.get(key)
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {key} = {text!r} is no number; the file is damaged") from error


def blocks(steps: Iterable[IonicStep], tags: dict[str, str], name: str) -> Iterator[Block]:
    """Steps of one cell, joined as they come.

    Raises:
        CutShort: as `steps` does, once the steps before are given away.
    """
    n_steps = stride(tags, name)
    is_conserved = conserves_energy(tags, name)
    held: list[IonicStep] = []
    begins_part = True
    cut: CutShort | None = None
    try:
        for step in steps:
            changed = bool(held) and not np.array_equal(step.cell_A, held[0].cell_A)
            if changed or len(held) == FRAMES_PER_BLOCK:
                yield _joined(held, n_steps, is_conserved, begins_part)
                held, begins_part = [], False
            held.append(step)
    except CutShort as error:
        cut = error
    if held:
        yield _joined(held, n_steps, is_conserved, begins_part)
    if cut:
        raise cut


def _joined(steps: list[IonicStep], n_steps: int, is_conserved: bool, begins_part: bool) -> Block:
    return Block(
        np.array([step.fractional for step in steps]),
        steps[0].cell_A,
        _series([step.energy_eV for step in steps]),
        _series([step.kinetic_temperature_K for step in steps]),
        _series([step.total_eV for step in steps]) if is_conserved else None,
        stride=n_steps,
        begins_part=begins_part,
        forces_eV_per_A=_series([step.forces_eV_per_A for step in steps]),
    )


def _series(
    values: list[float | None] | list[NDArray[np.float64] | None],
) -> NDArray[np.float64] | None:
    """What every step has; None where one lacks it."""
    known = [value for value in values if value is not None]
    return np.array(known, dtype=np.float64) if len(known) == len(values) else None
