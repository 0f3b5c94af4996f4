"""atomate2's Makers with what a campaign says: tags, meshes, potentials, and how VASP is run.

Upstream pitfalls that are mended here: the default handlers of custodian are shared by all runs of
a process and remember what they corrected in earlier ones, and its walltime handler counts from
the first job of a process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from atomate2 import SETTINGS
from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker
from atomate2.vasp.jobs.base import BaseVaspMaker
from atomate2.vasp.jobs.md import MDMaker
from atomate2.vasp.run import DEFAULT_HANDLERS
from atomate2.vasp.sets.core import MDSetGenerator
from custodian.vasp.handlers import WalltimeHandler
from custodian.vasp.validators import VaspFilesValidator
from emmet.core.types.enums import StoreTrajectoryOption
from pymatgen.io.vasp.inputs import Kpoints, Poscar
from pymatgen.io.vasp.sets import BadInputSetWarning

from screening.errors import WallTimeReached
from workflows.vasp.execution import ENDS_AT
from workflows.vasp.potcars import FUNCTIONAL, potcar_labels
from workflows.vasp.progress import Deadline, StepCounter

if TYPE_CHECKING:
    from custodian.custodian import ErrorHandler

    from workflows.execution_settings import ExecutionSettings
    from workflows.vasp_settings import CalculationSettings, KpointsSettings, VaspSettings

_POLL_S = 0.2
_CHECK_S = 60.0  # handlers that watch a run read all of its OUTCAR
_STAND_IN = f"{sys.executable} -m workflows.rehearsal"
_LAUNCH = f"{sys.executable} -m workflows.vasp.launch"
_ENDS_OF_ALLOCATIONS = ("SLURM_JOB_END_TIME", ENDS_AT)  # seconds since the epoch
# What MDSetGenerator sets for an r2SCAN or PBEsol run with all that can be written, and what the
# literature runs instead: PBE, not spin-polarised, the cutoff of the potentials.
_DYNAMICS_INCAR: dict[str, Any] = {
    "ISPIN": 1,
    "GGA": None,
    "METAGGA": None,
    "LMIXTAU": None,
    "ENCUT": None,
    "MAGMOM": None,
    "LAECHG": None,
    "LELF": None,
    "LVTOT": None,
    "LVHAR": None,
    "LORBIT": None,
    "EDIFFG": None,
    "LREAL": "Auto",
    "SIGMA": 0.05,
}


@dataclass
class SegmentSetGenerator(MDSetGenerator):
    """MDSetGenerator whose POSCAR is given digit by digit: a CONTCAR goes on exactly.

    Args:
        poscar_text: positions, velocities and the state of the thermostat.
    """

    poscar_text: str = ""

    @property
    def poscar(self) -> Poscar:
        """What is written is `poscar_text`."""
        return _Verbatim(super().poscar.structure, self.poscar_text)


class _Verbatim(Poscar):
    def __init__(self, structure: Any, text: str) -> None:
        super().__init__(structure)
        object.__setattr__(self, "_text", text)

    def get_str(self, *_: Any, **__: Any) -> str:
        """The text that it was made of, whatever the precision asked for."""
        text: str = object.__getattribute__(self, "_text")
        return text


@dataclass(frozen=True)
class Program:
    """What is started, and for how long.

    Args:
        command: of the standard version.
        gamma_command: of the one for Γ only.
        execution: wall time and files.
        is_rehearsal: the stand-in is started.
        started_at: of the job, seconds since the epoch: its wall time counts from there.
    """

    command: str
    gamma_command: str
    execution: ExecutionSettings
    is_rehearsal: bool = False
    started_at: float = field(default_factory=time.time)

    @classmethod
    def of(cls, *, is_rehearsal: bool, execution: ExecutionSettings) -> Program:
        """The stand-in, or what the campaign or atomate2's settings call VASP."""
        if is_rehearsal:
            return cls(_STAND_IN, _STAND_IN, execution, is_rehearsal=True)
        return cls(
            execution.vasp_command or SETTINGS.VASP_CMD,
            execution.vasp_gamma_command or execution.vasp_command or SETTINGS.VASP_GAMMA_CMD,
            execution,
        )

    @property
    def buffer_s(self) -> float:
        """How long before its deadline VASP is asked to stop."""
        return 60 * self.execution.stop_before_min

    @property
    def deadline(self) -> float | None:
        """End of the job's wall time, or of the allocation it is in, seconds since the epoch."""
        ends = []
        if self.execution.wall_time_h is not None:
            ends.append(self.started_at + 3600 * self.execution.wall_time_h)
        said = [os.environ.get(name, "") for name in _ENDS_OF_ALLOCATIONS]
        ends += [float(end) for end in said if end.isdigit()]
        return min(ends, default=None)

    def require_time(self) -> None:
        """See that there is time for VASP to do anything.

        Raises:
            WallTimeReached: it would be asked to stop at once.
        """
        if self.deadline is not None and time.time() > self.deadline - self.buffer_s:
            raise WallTimeReached(
                "the wall time is near, and VASP was not started; the next run goes on where this "
                "ended"
            )

    def run_kwargs(
        self, handlers: tuple[ErrorHandler, ...], counter: StepCounter | None = None
    ) -> dict[str, Any]:
        """Keyword arguments of atomate2's `run_vasp`.

        Args:
            handlers: whose kinds are wanted; each run gets fresh ones.
            counter: reports progress.
        """
        fresh = [type(handler)() for handler in handlers]
        check_s = _CHECK_S
        if self.deadline is not None:
            check_s = min(check_s, self.buffer_s / 3)
            started = datetime.fromtimestamp(self.started_at)
            os.environ["CUSTODIAN_WALLTIME_START"] = started.strftime("%a %b %d %H:%M:%S UTC %Y")
            fresh.append(
                WalltimeHandler(
                    wall_time=self.deadline - self.started_at, buffer_time=self.buffer_s
                )
            )
            fresh.append(Deadline(self.deadline))
        if counter is not None:
            fresh.append(counter)
        return {
            "vasp_cmd": f"{_LAUNCH} {self.command}",
            "vasp_gamma_cmd": f"{_LAUNCH} {self.gamma_command}",
            "scratch_dir": None,  # what is written there is lost with the process
            "handlers": fresh,
            "custodian_kwargs": {
                "polling_time_step": _POLL_S,
                "monitor_freq": max(round(check_s / _POLL_S), 1),
            },
        }


def relaxation_makers(settings: VaspSettings, program: Program) -> dict[str, BaseVaspMaker]:
    """The parts of MPGGADoubleRelaxStaticMaker, by the names of their folders, in their order."""
    flow = MPGGADoubleRelaxStaticMaker()
    makers = {
        "relax-1": flow.relax_maker.relax_maker1,
        "relax-2": flow.relax_maker.relax_maker2,
        "static": flow.static_maker,
    }
    for name, maker in makers.items():
        is_static = name == "static"
        _adapt(maker, settings.static if is_static else settings.relax, settings.potcar)
        maker.run_vasp_kwargs = program.run_kwargs(DEFAULT_HANDLERS)
        maker.stop_children_kwargs = {"handle_unsuccessful": False}  # looked at by `calculations`
    return makers


def dynamics_maker(
    settings: VaspSettings,
    program: Program,
    *,
    poscar_text: str,
    symbols: list[str],
    n_steps: int,
    timestep_fs: float,
    from_K: float,
    to_K: float,
    nose_mass: float,
    counter: StepCounter,
) -> MDMaker:
    """MDMaker for a piece of NVT dynamics.

    Args:
        settings: of the campaign.
        program: what is started.
        poscar_text: where it goes on from.
        symbols: elements in it.
        n_steps: of the piece.
        timestep_fs: of the integrator.
        from_K: of the thermostat at its first step.
        to_K: of the thermostat at its last step.
        nose_mass: SMASS.
        counter: reports progress.
    """
    with _as_wanted():
        generator = SegmentSetGenerator(
            poscar_text=poscar_text,
            ensemble="nvt",
            start_temp=from_K,
            end_temp=to_K,
            nsteps=n_steps,
            time_step=timestep_fs,
            auto_ispin=False,
            auto_ismear=False,
            sort_structure=False,
            user_incar_settings={**_DYNAMICS_INCAR, "SMASS": round(nose_mass, 6)},
            user_kpoints_settings=Kpoints(comment="Gamma only"),
            user_potcar_functional=FUNCTIONAL,
        )
    maker = MDMaker(name="molecular dynamics", input_set_generator=generator)
    handlers = maker.run_vasp_kwargs["handlers"]
    _adapt(maker, settings.dynamics, potcar_labels(symbols, settings.potcar))
    maker.run_vasp_kwargs = program.run_kwargs(handlers, counter)
    # custodian's own reading of vasprun.xml takes minutes for long runs, and it is read afterwards
    maker.run_vasp_kwargs["validators"] = [VaspFilesValidator()]
    maker.stop_children_kwargs = {"handle_unsuccessful": False}  # a shorter segment is one
    maker.task_document_kwargs = {
        "store_trajectory": StoreTrajectoryOption.NO,
        "vasprun_kwargs": {"ionic_step_skip": max(n_steps // 20, 1)},
    }
    return maker


def _adapt(maker: BaseVaspMaker, settings: CalculationSettings, potcar: Mapping[str, str]) -> None:
    # atomate2's settings of a machine decide no result
    maker.write_input_set_kwargs = {"apply_incar_updates": False}
    generator = maker.input_set_generator
    changes: dict[str, Any] = {
        # taken in when a generator is made, not when it is used
        "user_potcar_settings": generator.user_potcar_settings | potcar,
        "user_incar_settings": generator.user_incar_settings
        | {
            tag: list(value) if isinstance(value, tuple) else value
            for tag, value in settings.incar.items()
        },
    }
    if settings.kpoints is not None:
        changes["user_kpoints_settings"] = _kpoints(settings.kpoints)
    elif settings.incar.get("KSPACING") is not None:
        changes["user_kpoints_settings"] = {}
    with _as_wanted():
        maker.input_set_generator = replace(generator, **changes)


@contextlib.contextmanager
def _as_wanted() -> Iterator[None]:
    """Input sets complain that they are not the default ones, which is what is wanted here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadInputSetWarning)
        yield


def _kpoints(settings: KpointsSettings) -> Kpoints:
    if settings.gamma:
        return Kpoints.gamma_automatic(settings.gamma)
    if settings.monkhorst_pack:
        return Kpoints.monkhorst_automatic(settings.monkhorst_pack)
    assert settings.automatic is not None
    return Kpoints.automatic(settings.automatic)
