"""What stages of a made-up campaign answered, as plain values ready to be stored.

Stabilities and Arrhenius laws are computed, from made-up energies and diffusivities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from monty.json import jsanitize

from screening.documents import (
    Candidate,
    Failure,
    Rejection,
    Relaxation,
    RelaxDocument,
)
from screening.errors import EnergyNotFinite, NotConverged, RunExploded
from screening.gates import Gates
from screening.ranking import gate_values
from screening.stability.assessment import assess_stability
from screening.stability.documents import StabilityDocument
from screening.stability.references import ReferencePhases
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import (
    Diffusivity,
    DynamicsDocument,
    Equilibration,
    FrameworkMotion,
    MolecularDynamics,
    MsdCurve,
    PrincipalDiffusivity,
    RunEnd,
    Transport,
    TransportDocument,
)
from screening.transport.trajectory import Trajectory
from workflows.execution.jobs import WORKER_DIED

Plain = dict[str, Any]

TEMPERATURES_K = (600.0, 800.0, 1000.0)
GATES = Gates(
    max_e_above_lowest_eV_per_atom=0.1,
    max_e_hull_eV_per_atom=0.05,
    min_window_V=2.1,
    min_conductivity_300K_S_cm=1e-7,
)
REFERENCES = ReferencePhases.load("chgnet-0.3.0")
N_TRANSPORTS = 80  # different ones a mobile ion
DURATION_PS = 100.0
_ABOVE_HULL_EV_PER_ATOM = (-0.07, -0.03, -0.01, 0.0, 0.004, 0.009, 0.016, 0.031, 0.043, 0.07, 0.15)
_FAR_ABOVE_EV_PER_ATOM = -2.0
_TEST = (
    "the cut that leaves the mean of the rest the least standard error (Clark 2024), if what it "
    "leaves out differs at p < 0.001; of potential energy, kinetic temperature, displacement of "
    "the framework from frame to frame, displacement of the framework over 0.5 ps, displacement "
    "of {ion} over 0.5 ps: no start differs from the rest"
)
_TRACEBACK = "\n".join(
    [
        "Traceback (most recent call last):",
        *(
            f'  File "/opt/halideflow/lib/python3.11/site-packages/screening/step_{n}.py", line '
            f"{7 * n + 11}, in step_{n}\n    return step_{n + 1}(structure, settings, step=step)"
            for n in range(14)
        ),
    ]
)


def plain(document: Any) -> Any:
    """A document as the store gets it."""
    return jsanitize(document, strict=True)


def failure(code: str, message: str) -> Failure:
    """With the end of a log as long as real ones."""
    return Failure(code=code, message=message, log_tail=f"{_TRACEBACK}\n{code}: {message}")


RELAX_FAILURES = (
    failure(NotConverged.code, "0.32 eV/Å after 500 steps, at most 0.05 eV/Å asked for"),
    failure(EnergyNotFinite.code, "the energy is nan after 17 steps; two atoms came within 0.4 Å"),
    failure("UNEXPECTED", "LinAlgError: Singular matrix"),
)
DEAD = failure(WORKER_DIED, "the process that ran this job died 3 times (signal 9)")
EXPLODED = failure(RunExploded.code, "the fastest atom moved 3.1 Å within one step at 41.2 ps")


@dataclass(frozen=True)
class Hull:
    """A stability, the energy that led to it, and the gate that it breaks."""

    energy_eV_per_atom: float
    document: Plain
    rejection: Rejection | None


def hulls(candidate: Candidate) -> list[Hull]:
    """Stabilities of a candidate at several energies, and the gate that each breaks."""

    def assessed(energy_eV_per_atom: float) -> Any:
        return assess_stability(
            candidate.structure.composition,
            energy_eV_per_atom,
            REFERENCES.convention,
            REFERENCES,
            candidate.mobile_ion,
        )

    hull_eV_per_atom = _FAR_ABOVE_EV_PER_ATOM - assessed(_FAR_ABOVE_EV_PER_ATOM).e_hull_eV_per_atom
    found = []
    for above_eV_per_atom in _ABOVE_HULL_EV_PER_ATOM:
        energy_eV_per_atom = hull_eV_per_atom + above_eV_per_atom
        result = assessed(energy_eV_per_atom)
        document = StabilityDocument(state="done", result=result, wall_time_s=0.4)
        rejection = GATES.first_broken(gate_values(stability=result))
        found.append(Hull(energy_eV_per_atom, plain(document), rejection))
    return found


def relaxation(candidate: Candidate) -> Plain:
    """A relaxation that is done; what it stands for has another energy."""
    result = Relaxation(
        structure=candidate.structure,
        energy_eV_per_atom=-4.0,
        n_steps=37,
        max_force_eV_per_A=0.021,
        volume_change_percent=4.2,
        convention=REFERENCES.convention,
    )
    relaxed: Plain = plain(RelaxDocument(state="done", result=result, wall_time_s=3.2))
    return relaxed


def with_energy(relaxed: Plain, energy_eV_per_atom: float) -> Plain:
    """The same relaxation with another energy."""
    return {**relaxed, "result": {**relaxed["result"], "energy_eV_per_atom": energy_eV_per_atom}}


@dataclass(frozen=True)
class Moved:
    """Transport as it was answered, and the temperatures whose runs failed."""

    document: Plain
    failed_K: frozenset[float]


def transports(ion: str, rng: np.random.Generator) -> list[Moved]:
    """Transport of several candidates of a mobile ion: laws, bounds, and hosts that melt."""
    return [_transport(ion, rng, number) for number in range(N_TRANSPORTS)]


def _transport(ion: str, rng: np.random.Generator, number: int) -> Moved:
    if number % 20 == 19:  # every run exploded
        document = TransportDocument(state="failed", failure=EXPLODED)
        return Moved(plain(document), frozenset(TEMPERATURES_K))
    prefactor_cm2_s = 10 ** rng.uniform(-4, -2)
    activation_energy_eV = rng.uniform(0.18, 0.6)
    n_bounds = {3: 1, 7: 2, 11: 3}.get(number % 20, 0)
    failed_K = TEMPERATURES_K[2:] if number % 20 == 15 else ()
    measured = []
    ends = {}
    for place, temperature_K in enumerate(TEMPERATURES_K):
        if temperature_K in failed_K:
            continue
        D_cm2_s = prefactor_cm2_s * np.exp(-activation_energy_eV / 8.617e-5 / temperature_K)
        D_cm2_s = float(D_cm2_s * np.exp(rng.normal(0, 0.1)))
        melts = number % 20 == 5 and place == 2
        measured.append(_diffusivity(ion, temperature_K, D_cm2_s, place < n_bounds, melts))
        ends[f"{temperature_K:g}"] = RunEnd(
            outcome="melted" if melts else "converged", message="D is known to 21 %, 25 % asked for"
        )
    result = Transport(
        diffusivities=tuple(measured),
        failures={f"{temperature_K:g}": EXPLODED for temperature_K in failed_K},
        ends=ends,
        arrhenius=fit_arrhenius(measured, n_mobile=8, volume_A3=1100.0),
    )
    document = TransportDocument(state="done", result=result, wall_time_s=0.8)
    return Moved(plain(document), frozenset(failed_K))


def _diffusivity(
    ion: str, temperature_K: float, D_cm2_s: float, is_bound: bool, melts: bool
) -> Diffusivity:
    known: Plain = {
        "upper_bound_cm2_s": D_cm2_s,
        "reason": "3.1 hops of 3.5 Å in 100 ps, at least 10 needed; the mean squared displacement, "
        "1.7 Å² at 1.52 ps, rises by 1.8 standard errors beyond rattling, at least 3 needed",
    }
    if not is_bound:
        known = {
            "D_cm2_s": D_cm2_s,
            "D_68_cm2_s": (0.82 * D_cm2_s, 1.2 * D_cm2_s),
            "D_95_cm2_s": (0.66 * D_cm2_s, 1.5 * D_cm2_s),
            "diffusive_from_ps": 2.1,
            "msd_offset_A2": 1.3,
            "dimensionality": 3,
            "charge_D_cm2_s": 1.4 * D_cm2_s,
            "charge_D_68_cm2_s": (0.9 * D_cm2_s, 2.1 * D_cm2_s),
            "haven_ratio": 0.71,
            "haven_ratio_68": (0.5, 1.1),
            "rsd_he_2018": 0.31,
        }
    framework = ()
    if melts:
        evidence = "Zr moved 14.2 Å² beyond rattling in 100 ps, 7.1 standard errors"
        framework = (FrameworkMotion(species="Zr", kind="diffuses", message=evidence),)
    lag_ps = np.unique(np.round(np.geomspace(0.01, 50, 48), 2))
    return Diffusivity(
        species=ion,
        temperature_K=temperature_K,
        duration_ps=DURATION_PS,
        n_hops=3.1 if is_bound else 88.2,
        **known,
        principal=tuple(
            PrincipalDiffusivity(
                axis=tuple(np.eye(3)[axis]),
                D_cm2_s=None if is_bound else D_cm2_s * (1.2 - 0.2 * axis),
                D_68_cm2_s=None if is_bound else (0.7 * D_cm2_s, 1.4 * D_cm2_s),
                upper_bound_cm2_s=2 * D_cm2_s if is_bound else None,
            )
            for axis in range(3)
        ),
        equilibration=Equilibration(cut_ps=0.0, test=_TEST.format(ion=ion)),
        msd=tuple(
            MsdCurve(
                species=species,
                lag_ps=tuple(lag_ps.tolist()),
                msd_A2=tuple((rattling + 6e4 * D_cm2_s * moves * lag_ps * np.pi / 3).tolist()),
            )
            for species, rattling, moves in ((ion, 1.3, 1.0), ("Zr", 0.21, melts), ("Cl", 0.63, 0))
        ),
        framework=framework,
        framework_moves=melts,
    )


def dynamics(candidate: Candidate, rng: np.random.Generator) -> DynamicsDocument:
    """A run with its trajectory: 300 frames in which every atom rattles."""
    structure = candidate.structure
    n_frames = 300
    rattling = rng.normal(0, 0.1, (n_frames, len(structure), 3))
    kinetic_K = rng.normal(TEMPERATURES_K[0], 30, n_frames)
    trajectory = Trajectory(
        positions_A=(structure.cart_coords + rattling).astype(np.float32),
        cell_A=np.array(structure.lattice.matrix),
        species=tuple(site.specie.symbol for site in structure),
        timestep_fs=2.0,
        stride=50,
        temperature_K=TEMPERATURES_K[0],
        potential_energies_eV=rng.normal(-200, 0.5, n_frames),
        kinetic_temperatures_K=kinetic_K,
        conserved_energies_eV=rng.normal(-190, 0.01, n_frames),
    )
    run = MolecularDynamics(
        temperature_K=TEMPERATURES_K[0],
        mean_temperature_K=float(kinetic_K.mean()),
        timestep_fs=2.0,
        n_heating_steps=500,
        n_equilibration_steps=1000,
        n_production_steps=50_000,
        end=RunEnd(outcome="converged", message="D is known to 21 %, 25 % asked for"),
        energy_drift_eV_per_atom_per_ps=-5.8e-5,
        seed=3660588425,
        convention=REFERENCES.convention,
        trajectory=trajectory,
    )
    return DynamicsDocument(
        state="done", temperature_K=TEMPERATURES_K[0], result=run, wall_time_s=3517.0
    )


def at_temperature(run: Plain, temperature_K: float, is_exploded: bool) -> Plain:
    """The same run at another temperature, or what became of it there."""
    if is_exploded:
        return {
            **run,
            "state": "failed",
            "failure": EXPLODED.model_dump(mode="json"),
            "temperature_K": temperature_K,
            "result": None,
        }
    result = {**run["result"], "temperature_K": temperature_K}
    return {**run, "temperature_K": temperature_K, "result": result}
