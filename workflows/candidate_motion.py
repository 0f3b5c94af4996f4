"""How the ions of a candidate move, from the trajectories that its campaign has stored."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from screening.errors import InvalidInput, ScreeningError
from workflows.job_list import JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from screening.motion.documents import MotionReport
    from screening.transport.trajectory import Trajectory
    from workflows.read_model import CampaignResults

PATHS = ("1D", "2D", "3D", "a", "b", "c")
"""Ways through a crystal: in so many dimensions, along a lattice vector."""
MAX_ARRAYS_BYTES = 300_000_000
"""Longer runs take minutes and memory that a page's server may not have."""


@dataclass(frozen=True)
class CandidateMotion:
    """What the runs of a candidate say of its ions' motion.

    Args:
        reports: one a temperature, by rising temperature.
        notes: why there are none of other runs.
    """

    reports: tuple[MotionReport, ...]
    notes: tuple[str, ...]


def motion_of(
    results: CampaignResults, identifier: str, max_bytes: int = MAX_ARRAYS_BYTES
) -> CandidateMotion:
    """Analyse the crystal's runs without their equilibration: seconds of work for each.

    Args:
        results: of the campaign.
        identifier: of the candidate.
        max_bytes: of the arrays of one run; larger ones are left out.

    Raises:
        InvalidInput: the campaign has no such candidate.
    """
    entry = results.enumerated.entry(identifier)
    mobile_ion: str = entry["candidate"]["mobile_ion"]
    reports, notes = [], []
    for temperature_K, archive in _archives(results, entry):
        try:
            reports.append(_report(archive, mobile_ion, max_bytes))
        except ScreeningError as error:
            notes.append(f"{temperature_K:g} K: {error}")
    return CandidateMotion(tuple(sorted(reports, key=lambda r: r.temperature_K)), tuple(notes))


def _archives(results: CampaignResults, entry: dict[str, Any]) -> Iterator[tuple[float, Path]]:
    """Temperature and stored trajectory of every run of the crystal."""
    jobs = results.jobs.page(JobFilter(stage="dynamics", of=(entry["transport"]["uuid"],)))
    for output in results.outputs({job.uuid for job in jobs}).values():
        moved = output["result"] or output["partial"]
        if moved is not None:
            blob = moved["trajectory"]["blob_uuid"]
            yield output["temperature_K"], results.folder.path / "arrays" / f"{blob}.npz"


def _report(archive: Path, mobile_ion: str, max_bytes: int) -> MotionReport:
    from screening.motion.report import motion_report
    from screening.transport.equilibration import find_equilibration

    run = _trajectory(archive, mobile_ion, max_bytes)
    first, _ = find_equilibration(run, mobile_ion)
    return motion_report(run.from_frame(first), mobile_ion)


def _trajectory(archive: Path, mobile_ion: str, max_bytes: int) -> Trajectory:
    """Read it, unless it is too large.

    Raises:
        InvalidInput: it is, or there is no such file, or it is damaged.
    """
    from workflows.trajectory_files.stored import stored_trajectory

    try:
        with zipfile.ZipFile(archive) as arrays:
            n_bytes = sum(member.file_size for member in arrays.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{archive}: no trajectory there, or a damaged one ({error})") from error
    if n_bytes > max_bytes:
        raise InvalidInput(
            f"{n_bytes / 1e6:.0f} MB of positions, more than is analysed for a page; "
            f"`halideflow md analyze {archive} --species {mobile_ion}` does it"
        )
    return stored_trajectory(archive)
