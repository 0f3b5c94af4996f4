"""Anybody's files of molecular dynamics as one unwrapped trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from screening.errors import InvalidInput
from screening.formulas import check_element
from screening.transport.trajectory import Trajectory
from workflows.trajectory_files.formats import open_file
from workflows.trajectory_files.frames import CutShort, UnwrappedFrames

UNTOLD_STRIDE = 1
OPTIONS = {
    "timestep_fs": "--timestep-fs",
    "stride": "--stride",
    "temperature_K": "--temperature-K",
}


def read_trajectory(
    paths: Sequence[Path],
    mobile_ion: str,
    *,
    timestep_fs: float | None = None,
    stride: int | None = None,
    temperature_K: float | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Trajectory:
    """The run that some files hold, unwrapped.

    Files cut short give their whole frames. Whatever a reader of results should know of the files
    stands in the trajectory's notes.

    Args:
        paths: the parts of one run, in order; see `workflows.trajectory_files.formats`.
        mobile_ion: element symbol; refused before frames are read where the files lack it.
        timestep_fs: of integration; None takes what the files say.
        stride: steps between two frames; None takes what the files say, or 1 where they do not.
        temperature_K: of the thermostat; None takes what the files say.
        advance: called with the bytes read so far and those of all files.

    Raises:
        InvalidInput: no such ion, no framework, no trajectory in a file, files that do not belong
            together, a cell that changes, or a time step or temperature that nobody tells.
        UnusableRun: positions that are not finite, or too far apart to unwrap.
    """
    check_element(mobile_ion)
    facts = {
        "timestep_fs": _Fact("time step", "fs", timestep_fs),
        "stride": _Fact("stride", "steps", stride),
        "temperature_K": _Fact("temperature", "K", temperature_K),
    }
    for name, fact in facts.items():
        fact.check(OPTIONS[name])
    total = sum(path.stat().st_size for path in paths if path.is_file())
    frames: UnwrappedFrames | None = None
    done = 0
    for path in paths:
        try:
            frames = _read(path, mobile_ion, frames, facts, partial(_shift, advance, done, total))
        except CutShort as error:
            raise InvalidInput(f"{path}: {error}; needed: a whole frame at least") from error
        done += path.stat().st_size
    if frames is None:
        raise InvalidInput("no file to read; needed: one at least")
    if len(frames) < 2:
        raise InvalidInput(f"{paths[0]}: one frame; needed: a trajectory")
    if facts["stride"].value is None:
        frames.notes.append(
            "no file says how many steps lie between two frames; taken as one (--stride)"
        )
        facts["stride"].value = UNTOLD_STRIDE
    return frames.trajectory(
        facts["timestep_fs"].known(paths, OPTIONS["timestep_fs"]),
        int(facts["stride"].value),
        facts["temperature_K"].known(paths, OPTIONS["temperature_K"]),
    )


def _shift(advance: Callable[[int, int], None], before: int, total: int, here: int) -> None:
    """Progress within one file as that of all."""
    advance(before + here, total)


def _read(
    path: Path,
    mobile_ion: str,
    frames: UnwrappedFrames | None,
    facts: dict[str, _Fact],
    advance: Callable[[int], None],
) -> UnwrappedFrames:
    """Take in one file.

    Raises:
        CutShort: it ends within its first frame.
    """
    name = str(path)
    with ExitStack() as stack:
        file = open_file(path, stack)
        contents = file.contents
        if frames is None:
            _check_ion(mobile_ion, contents.species, name)
            frames = UnwrappedFrames(contents.species)
        elif contents.species != frames.species:
            raise InvalidInput(
                f"{name}: other atoms, or in another order, than the files before; needed: the "
                "parts of one run"
            )
        facts["timestep_fs"].hear(contents.timestep_fs, name)
        facts["temperature_K"].hear(contents.temperature_K, name)
        frames.notes += contents.notes
        n_before = len(frames)
        try:
            for block in contents.blocks:
                facts["stride"].hear(block.stride, name)
                frames.extend(block, name)
                advance(file.position(len(frames) - n_before))
        except CutShort as error:
            n_read = len(frames) - n_before
            if not n_read:
                raise
            frames.notes.append(f"{name}: {error}; its {n_read} whole frames are used")
        if len(frames) == n_before == 0:
            raise CutShort("no frame in it")
    return frames


def _check_ion(mobile_ion: str, species: tuple[str, ...], name: str) -> None:
    found = sorted(set(species))
    if mobile_ion not in found:
        raise InvalidInput(
            f"{name}: no {mobile_ion} in it, but {', '.join(found)}; needed: an ion that it holds"
        )
    if found == [mobile_ion]:
        raise InvalidInput(
            f"{name}: nothing but {mobile_ion}; needed: a framework of other atoms, which drift is "
            "measured by"
        )


@dataclass
class _Fact:
    """A number of the whole run: the user's, or what all files say that say anything.

    Args:
        noun: what it is.
        unit: of the number.
        told: by the user; goes before what files say.
    """

    noun: str
    unit: str
    told: float | None
    value: float | None = field(init=False)
    _said_by: str = ""

    def __post_init__(self) -> None:
        self.value = self.told

    def check(self, option: str) -> None:
        """See that what the user says is possible."""
        if self.told is not None and not (math.isfinite(self.told) and self.told > 0):
            raise InvalidInput(f"{option} {self.told:g}: needed: more than 0 {self.unit}")

    def hear(self, said: float | None, name: str) -> None:
        """What a file says.

        Raises:
            InvalidInput: not what another one says.
        """
        if said is None or self.told is not None:
            return
        if self.value is None:
            self.value, self._said_by = said, name
        if not math.isclose(said, self.value, rel_tol=1e-6):
            raise InvalidInput(
                f"{name}: {self.noun} {said:g} {self.unit}, but {self.value:g} {self.unit} in "
                f"{self._said_by}; needed: the parts of one run"
            )

    def known(self, paths: Sequence[Path], option: str) -> float:
        """The number.

        Raises:
            InvalidInput: nobody tells it.
        """
        if self.value is None:
            files = ", ".join(path.name for path in paths)
            raise InvalidInput(
                f"{self.noun} unknown: {files} does not say; needed: {option} with it in "
                f"{self.unit}"
            )
        return self.value
