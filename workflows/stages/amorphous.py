"""Glasses of a candidate: melt, quench, move as the crystal was moved, compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobflow import Flow, Job, Maker, OutputReference, Response, job

from screening.amorphous.documents import (
    CRYSTAL,
    Amorphous,
    AmorphousDocument,
    MeltQuench,
    MeltQuenchDocument,
    PhaseRuns,
    glass_name,
)
from screening.documents import Failure, RelaxDocument
from screening.gates import Gates
from screening.transport.documents import DynamicsDocument, TransportDocument
from screening.transport.trajectory import Trajectory
from workflows.config import AmorphousSettings, DynamicsSettings, EngineSettings
from workflows.engines import engine_convention, load_potential
from workflows.fingerprint import identify
from workflows.stages import dynamics as dynamics_stage
from workflows.stages.boundary import LOST, answer
from workflows.stages.continuing import continue_current_job
from workflows.stages.dynamics import DynamicsMaker
from workflows.stages.sizes import OF_DYNAMICS, OF_QUENCH, sized
from workflows.stages.transport import fit_runs

VERSION = 1

# What of `dynamics` decides how a glass is made; the rest decides how it moves.
_OF_DYNAMICS = {"timestep_fs", "thermostat_period_fs", "frame_interval_fs", "seed"}


@dataclass
class MeltQuenchMaker(Maker):
    """Melt and quench at one melt temperature; the answer is a MeltQuenchDocument."""

    engine: EngineSettings
    settings: AmorphousSettings
    dynamics: DynamicsSettings
    name: str = "quench"

    def make(
        self,
        relaxed: OutputReference,
        melt_temperature_K: float,
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The job that makes a glass of what `relaxed` refers to."""
        made = identify(
            quench(
                relaxed, melt_temperature_K, mobile_ion, self.engine, self.settings, self.dynamics
            ),
            self.name,
            VERSION,
            [
                relaxed,
                melt_temperature_K,
                mobile_ion,
                engine_convention(self.engine),
                self.settings.model_dump(exclude={"melt_temperatures_K"}),
                self.dynamics.model_dump(include=_OF_DYNAMICS),
            ],
            {**labels, "melt_temperature_K": f"{melt_temperature_K:g}"},
        )
        return sized(made, labels, OF_QUENCH)


@job(name="quench", output_schema=MeltQuenchDocument, data=[Trajectory])
def quench(
    relaxed: RelaxDocument | None,
    melt_temperature_K: float,
    mobile_ion: str,
    engine: EngineSettings,
    settings: AmorphousSettings,
    dynamics: DynamicsSettings,
) -> MeltQuenchDocument:
    """Heat, hold, quench; goes on from the checkpoint in the working directory."""
    if relaxed is None or (relaxation := relaxed.result) is None:
        return MeltQuenchDocument(state="skipped", melt_temperature_K=melt_temperature_K)

    def compute() -> MeltQuench:
        from workflows.melt_quench import run_melt_quench

        loaded = load_potential(engine.model)
        return run_melt_quench(
            relaxation.structure,
            loaded.calculator(),
            loaded.convention,
            mobile_ion,
            melt_temperature_K,
            settings,
            dynamics,
            checkpoints=Path.cwd(),
        )

    return answer(MeltQuenchDocument, compute, melt_temperature_K=melt_temperature_K)


@dataclass
class AmorphousMaker(Maker):
    """Glasses of a candidate whose crystal has been moved, and the comparison with it.

    `make` gives one job, which waits for the crystal's transport. Where that was never run it is
    skipped; else it is replaced by the flow of `measure`.
    """

    engine: EngineSettings
    settings: AmorphousSettings
    dynamics: DynamicsSettings
    gates: Gates
    name: str = "amorphous"

    def make(
        self,
        relaxed: OutputReference,
        transported: OutputReference,
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Job:
        """The job that waits; `transported` is the crystal's transport."""
        return identify(
            amorphous(relaxed.uuid, transported.uuid, transported, mobile_ion, self, labels),
            self.name,
            VERSION,
            [
                relaxed,
                transported,
                mobile_ion,
                engine_convention(self.engine),
                self.settings,
                dynamics_stage.VERSION,
            ],
            labels,
        )

    def measure(
        self,
        relaxed: OutputReference,
        transported: OutputReference,
        mobile_ion: str,
        labels: dict[str, str],
    ) -> Flow:
        """A glass a melt temperature, each moved at every temperature, then the comparison."""
        mover = DynamicsMaker(self.engine, self.dynamics, self.gates)
        quencher = MeltQuenchMaker(self.engine, self.settings, self.dynamics)

        def moved(structure: OutputReference, **phase: str) -> list[Job]:
            return [
                mover.make(structure, temperature_K, mobile_ion, labels | phase)
                for temperature_K in self.dynamics.temperatures_K
            ]

        quenched = [
            quencher.make(relaxed, temperature_K, mobile_ion, labels)
            for temperature_K in self.settings.melt_temperatures_K
        ]
        size = {OF_DYNAMICS: labels[OF_QUENCH]} if OF_QUENCH in labels else {}
        glasses = [
            moved(glass.output, phase=glass_name(temperature_K), **size)
            for glass, temperature_K in zip(
                quenched, self.settings.melt_temperatures_K, strict=True
            )
        ]
        compared = compare(
            transported,
            [run.output for run in moved(relaxed)],  # finished: jobs are known by their inputs
            [glass.output for glass in quenched],
            [[run.output for run in runs] for runs in glasses],
            self,
            mobile_ion,
        )
        continue_current_job(compared)
        runs = [run for of_glass in glasses for run in of_glass]
        return Flow([*quenched, *runs, compared], name=self.name)


@job(name="amorphous", output_schema=AmorphousDocument)
def amorphous(
    relaxed_uuid: str,
    transported_uuid: str,
    transported: TransportDocument | None,
    mobile_ion: str,
    maker: AmorphousMaker,
    labels: dict[str, str],
) -> AmorphousDocument | Response[Any]:
    """Go on with `maker.measure` if the crystal was moved, whatever came of it."""
    if transported is None or transported.state not in ("done", "failed"):
        return AmorphousDocument(state="skipped")
    flow = maker.measure(
        OutputReference(relaxed_uuid, output_schema=RelaxDocument),
        OutputReference(transported_uuid, output_schema=TransportDocument),
        mobile_ion,
        labels,
    )
    return Response(replace=flow)


@job(name="amorphous", output_schema=AmorphousDocument)
def compare(
    transported: TransportDocument | None,
    crystal: list[DynamicsDocument | None],
    quenched: list[MeltQuenchDocument | None],
    glasses: list[list[DynamicsDocument | None]],
    maker: AmorphousMaker,
    mobile_ion: str,
) -> AmorphousDocument:
    """The crystal and all its glasses side by side.

    A phase that failed is kept with its cause; only when no glass is left has the stage failed.
    """
    phases = {CRYSTAL: _phase(CRYSTAL, None, transported, crystal)}
    caveats: list[str] = []
    for melt_temperature_K, glass, runs in zip(
        maker.settings.melt_temperatures_K, quenched, glasses, strict=True
    ):
        name = glass_name(melt_temperature_K)
        if glass is None or glass.result is None:
            phases[name] = (glass and glass.failure) or LOST
            continue
        caveats += [f"{name}: {caveat}" for caveat in glass.result.caveats]
        measured = fit_runs(runs, list(maker.dynamics.temperatures_K), mobile_ion)
        phases[name] = _phase(name, glass.result, measured, runs)
    failures = {name: phase for name, phase in phases.items() if isinstance(phase, Failure)}
    if phases.keys() - failures.keys() <= {CRYSTAL}:
        first = next(failure for name, failure in failures.items() if name != CRYSTAL)
        return AmorphousDocument(state="failed", failure=first)

    def compute() -> Amorphous:
        from screening.amorphous.comparison import compare_phases

        usable = [phase for phase in phases.values() if isinstance(phase, PhaseRuns)]
        return compare_phases(usable, mobile_ion, failures=failures, caveats=caveats)

    return answer(AmorphousDocument, compute)


def _phase(
    name: str,
    glass: MeltQuench | None,
    measured: TransportDocument | None,
    runs: list[DynamicsDocument | None],
) -> PhaseRuns | Failure:
    """A phase with its runs, or why there is nothing of it."""
    trajectories = [run.result.trajectory for run in runs if run and run.result]
    if measured is None or measured.result is None or not trajectories:
        return (measured and measured.failure) or LOST
    return PhaseRuns(
        name,
        glass.melt_temperature_K if glass else None,
        measured.result,
        trajectories,
        glass.structure if glass else None,
    )
