"""Anybody's files of molecular dynamics as one unwrapped trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from screening.errors import InvalidInput
from screening.formulas import check_element
from screening.transport.trajectory import Trajectory
from workflows.trajectory_files.contents import CutShort
from workflows.trajectory_files.formats import open_file
from workflows.trajectory_files.unwrapping import UnwrappedFrames

UNTOLD_STRIDE = 1


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
    facts = _Facts(
        _Fact("time step", "fs", "--timestep-fs", timestep_fs),
        _Fact("stride", "steps", "--stride", stride),
        _Fact("temperature", "K", "--temperature-K", temperature_K),
    )
    frames = UnwrappedFrames(_check_headers(paths, mobile_ion, facts))
    total = sum(path.stat().st_size for path in paths)
    done = 0
    for path in paths:
        _read_frames(path, frames, facts, partial(_shift, advance, done, total))
        done += path.stat().st_size
    if len(frames) < 2:
        raise InvalidInput(f"{paths[0]}: one frame; needed: a trajectory")
    if facts.stride.value is None:
        frames.notes.append(
            "no file says how many steps lie between two frames; taken as one (--stride)"
        )
    return frames.trajectory(
        facts.timestep.known(), int(facts.stride.value or UNTOLD_STRIDE), facts.temperature.known()
    )


def _check_headers(paths: Sequence[Path], mobile_ion: str, facts: _Facts) -> tuple[str, ...]:
    """See that the files are of one run that can be analysed, before their frames are read.

    Returns:
        the species.
    """
    species: tuple[str, ...] | None = None
    seen: set[Path] = set()
    for path in paths:
        name = str(path)
        if path.resolve() in seen:
            raise InvalidInput(f"{name}: given twice; needed: each part of the run once")
        seen.add(path.resolve())
        with ExitStack() as stack, _naming(path):
            contents = open_file(path, stack).contents
        if species is None:
            species = contents.species
            _check_ion(mobile_ion, species, name)
        if contents.species != species:
            raise InvalidInput(
                f"{name}: other atoms, or in another order, than {paths[0]}; needed: the parts of "
                "one run"
            )
        facts.timestep.hear(contents.timestep_fs, name)
        facts.temperature.hear(contents.temperature_K, name)
    if species is None:
        raise InvalidInput("no file to read; needed: one at least")
    unknown = [fact for fact in (facts.timestep, facts.temperature) if fact.value is None]
    if unknown:
        raise InvalidInput(
            f"{' and '.join(fact.noun for fact in unknown)} unknown: "
            f"{', '.join(path.name for path in paths)} does not say; needed: "
            f"{' and '.join(f'{fact.option} (in {fact.unit})' for fact in unknown)}"
        )
    return species


def _read_frames(
    path: Path, frames: UnwrappedFrames, facts: _Facts, advance: Callable[[int], None]
) -> None:
    """Take in the frames of one file."""
    name = str(path)
    n_before = len(frames)
    with ExitStack() as stack, _naming(path):
        file = open_file(path, stack)
        frames.notes += file.contents.notes
        if facts.stride.told is None and file.contents.stride_note:
            frames.notes.append(file.contents.stride_note)
        try:
            for block in file.contents.blocks:
                facts.stride.hear(block.stride, name)
                frames.extend(block, name)
                advance(file.position(len(frames) - n_before))
        except CutShort as error:
            n_read = len(frames) - n_before
            if not n_read:
                raise
            frames.notes.append(f"{name}: {error}; its {n_read} whole frames are used")
        if len(frames) == n_before == 0:
            raise CutShort("there is no frame in it")


def _shift(advance: Callable[[int, int], None], before: int, total: int, here: int) -> None:
    """Progress within one file as that of all."""
    advance(before + here, total)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A file without a whole frame is no trajectory."""
    try:
        yield
    except CutShort as error:
        raise InvalidInput(f"{path}: {error}; needed: one whole frame at least") from error


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
        option: by which the user tells it.
        told: by the user; goes before what files say.

    Raises:
        InvalidInput: the user's number is impossible.
    """

    noun: str
    unit: str
    option: str
    told: float | None
    value: float | None = field(init=False)
    _said_by: str = ""

    def __post_init__(self) -> None:
        if self.told is not None and not (math.isfinite(self.told) and self.told > 0):
            raise InvalidInput(f"{self.option} {self.told:g}: needed: more than 0 {self.unit}")
        self.value = self.told

    def hear(self, said: float | None, name: str) -> None:
        """What a file says.

        Raises:
            InvalidInput: not what another one says, or impossible.
        """
        if said is None or self.told is not None:
            return
        if not (math.isfinite(said) and said > 0):
            raise InvalidInput(
                f"{name}: a {self.noun} of {said:g} {self.unit}; needed: {self.option} with the "
                "true one"
            )
        if self.value is None:
            self.value, self._said_by = said, name
        if not math.isclose(said, self.value, rel_tol=1e-6):
            raise InvalidInput(
                f"{name}: a {self.noun} of {said:g} {self.unit}, but {self.value:g} {self.unit} in "
                f"{self._said_by}; needed: the parts of one run"
            )

    def known(self) -> float:
        """The number, once it is checked that somebody tells it."""
        assert self.value is not None, self.noun
        return self.value


@dataclass(frozen=True)
class _Facts:
    timestep: _Fact
    stride: _Fact
    temperature: _Fact
