"""What people see of the analysis of one run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from screening.rounding import rounded_up
from workflows.cli.stability_sections import section

if TYPE_CHECKING:
    from rich.console import RenderableType

    from screening.disorder.documents import DisorderReport
    from screening.motion.documents import MotionReport
    from screening.transport.documents import PrincipalDiffusivity
    from workflows.md_analysis import MdReport

_MOST_KINDS = 4


def md_sections(report: MdReport) -> Iterator[RenderableType]:
    """Diffusion, the structure of the motion, the local structure, and what to know of them."""
    parts = {
        f"{report.species} in {report.formula}": _run(report),
        "diffusion": _diffusion(report),
        "motion": _motion(report.motion) if report.motion else {},
        "local structure": _disorder(report.disorder) if report.disorder else {},
        "framework": {
            "": "\n".join(
                f"{host.species} {host.kind}: {host.message}" for host in report.framework
            )
        },
        "caveats": {"": "\n".join(_caveats(report))},
        "notes": {"": "\n".join(report.notes)},
    }
    for title, entries in parts.items():
        if any(entries.values()):
            yield section(title, entries)


def _caveats(report: MdReport) -> list[str]:
    """Without those that stand among the notes or under the framework already."""
    of_parts = (part.caveats for part in (report.motion, report.disorder) if part)
    all_of_them = dict.fromkeys([*report.caveats, *chain.from_iterable(of_parts)])
    elsewhere = {*report.notes, *(host.message for host in report.framework)}
    return [caveat for caveat in all_of_them if caveat not in elsewhere]


def _run(report: MdReport) -> dict[str, str]:
    cut = report.equilibration
    return {
        "files": "\n".join(report.files),
        "frames": f"{report.n_frames} of {report.n_atoms} atoms, {report.n_ions} of them "
        f"{report.species}",
        "time step": f"{report.timestep_fs:g} fs, a frame every {report.stride} "
        f"step{'s' if report.stride > 1 else ''} "
        f"({report.timestep_fs * report.stride / 1000:.4g} ps)",
        "temperature": f"{report.temperature_K:g} K",
        "left out": f"{cut.cut_ps:.3g} ps at the start: {cut.test}" if cut else "",
        "analysed": f"{report.duration_ps:.4g} ps",
    }


def _diffusion(report: MdReport) -> dict[str, str]:
    entries = {}
    if report.D_cm2_s is None:
        entries["D"] = f"< {_above(report.upper_bound_cm2_s)} cm²/s at 95 % confidence"
        entries["no value because"] = report.reason or ""
    else:
        entries["D"] = _value(report.D_cm2_s, report.D_68_cm2_s, " cm²/s")
        entries["D, 95 %"] = _interval(report.D_95_cm2_s, " cm²/s")
    return {
        **entries,
        "hops": f"{report.n_hops:.1f}",
        "diffusive from": _optional(report.diffusive_from_ps, ".3g", " ps"),
        "dimensions": "" if report.dimensionality is None else str(report.dimensionality),
        "along the axes": "\n".join(_axis(axis) for axis in report.principal),
        "D of the charge": _value(report.charge_D_cm2_s, report.charge_D_68_cm2_s, " cm²/s"),
        "Haven ratio": _value(report.haven_ratio, report.haven_ratio_68, "", ".2f"),
        "RSD after He 2018": _optional(report.rsd_he_2018, ".2f", ", an empirical figure"),
    }


def _axis(axis: PrincipalDiffusivity) -> str:
    direction = " ".join(f"{component:z.2f}" for component in axis.axis)
    if axis.D_cm2_s is None:
        return f"< {_above(axis.upper_bound_cm2_s)} cm²/s at 95 % confidence along ({direction})"
    return f"{_value(axis.D_cm2_s, axis.D_68_cm2_s, ' cm²/s')} along ({direction})"


def _motion(motion: MotionReport) -> dict[str, str]:
    jumps, percolation = motion.jumps, motion.percolation
    barriers = ", ".join(f"{barrier_eV:.3f}" for barrier_eV in percolation.barriers_eV)
    places = {
        "visited paths": f"{percolation.dimension}D"
        + (f", barriers {barriers} eV by −kT ln p" if barriers else ""),
        "sites": str(len(motion.sites)),
    }
    if jumps is None:
        return places
    return places | {
        "jumps": f"{jumps.n_jumps}, linking sites in {jumps.dimension}D",
        "stay": _value(jumps.residence_ps, jumps.residence_68_ps, " ps", ".3g"),
        "undone by the next": _value(jumps.back_jump_fraction, jumps.back_jump_68, "", ".2f"),
        "correlation factor": _value(
            jumps.correlation_factor, jumps.correlation_factor_68, "", ".2f"
        ),
        "most frequent": "\n".join(
            f"{kind.n_jumps} of {kind.length_A:.2f} Å, {kind.rate_per_ion_per_ps:.2e} an ion and ps"
            for kind in jumps.kinds[:_MOST_KINDS]
        ),
    }


def _disorder(disorder: DisorderReport) -> dict[str, str]:
    shells = {
        f"{shell.centre}–{'/'.join(shell.neighbours)}": f"{shell.mean:.2f} neighbours within "
        f"{', '.join(f'{cutoff_A:.2f}' for cutoff_A in shell.cutoffs_A)} Å"
        for shell in disorder.coordination
    }
    symmetry = {
        f"symmetry measure of {measure.centre}X6": f"{measure.mean:.3f} mean, {measure.median:.3f} "
        f"median; {100 * measure.share_of_six:.0f} % of {measure.centre} have six neighbours"
        for measure in disorder.symmetry
    }
    return {**shells, **symmetry}


def _value(
    value: float | None, interval: tuple[float, float] | None, unit: str, form: str = ".2e"
) -> str:
    """A number with its 68 % interval; empty where there is none."""
    if value is None:
        return ""
    text = f"{value:{form}}{unit}"
    return f"{text} (68 %: {_interval(interval, '', form)})" if interval else text


def _interval(interval: tuple[float, float] | None, unit: str, form: str = ".2e") -> str:
    return "" if interval is None else f"{interval[0]:{form}}…{interval[1]:{form}}{unit}"


def _above(bound: float | None) -> str:
    """An upper bound, rounded up: a tighter one is not known."""
    return "–" if bound is None else f"{rounded_up(bound, 3):.2e}"


def _optional(value: float | None, form: str, unit: str) -> str:
    return "" if value is None else f"{value:{form}}{unit}"
