"""OUTCAR as text: what pymatgen, emmet and custodian look for in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from workflows.rehearsal import NOTICE, REHEARSAL_VERSION
from workflows.rehearsal.steps import KILOBAR_PER_EV_PER_A3, rows

if TYPE_CHECKING:
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.steps import IonicStep

_RULE = " " + 83 * "-"
_SHORT_RULE = "  " + 51 * "-"
_N_PLANE_WAVES = 10_000  # there are none; pymatgen wants a number


def header_text(inputs: Inputs, settings: Settings) -> str:
    """Everything before the first ionic step."""
    lines = [
        f" vasp.{REHEARSAL_VERSION} ({NOTICE})",
        "",
        f" executed on             Linux date {time.strftime('%Y.%m.%d  %H:%M:%S')}",
        " running on    1 total cores",
        "",
    ]
    for header in inputs.headers:
        lines += [
            f" POTCAR:    {header.title}",
            f"   VRHFIN ={header.symbol}: {NOTICE}",
            f"   TITEL  = {header.title}",
            f"   POMASS = {header.mass_u:8.3f}; ZVAL   = {header.n_valence:8.3f}    mass, valenz",
            f"   ENMAX  = {header.cutoff_eV:8.3f}; ENMIN  = {0.75 * header.cutoff_eV:8.3f} eV",
        ]
    n_points, n_atoms = len(inputs.kpoints.points), len(inputs.poscar.fractional)
    lines += [
        "",
        " Dimension of arrays:",
        f"   k-points           NKPTS = {n_points:6d}   k-points in BZ     NKDIM = {n_points:6d}"
        f"   number of bands    NBANDS= {settings.n_bands:6d}",
        f"   number of dos      NEDOS =      3   number of ions     NIONS = {n_atoms:6d}",
        f"   total plane-waves  NPLWV = {_N_PLANE_WAVES:6d}",
        "   ions per type =           " + " ".join(f"{n:4d}" for n in inputs.poscar.counts),
        "",
        f"   ENCUT  = {settings.cutoff_eV:8.1f} eV",
        f"   ISPIN  = {settings.n_spins:6d}    spin polarized calculation?",
        f"   NELM   = {settings.n_electronic:6d}    of the electronic loop",
        f"   EDIFF  = {settings.ediff_eV:.1E}   stopping-criterion for ELM",
        f"   EDIFFG = {settings.ediffg:.1E}   stopping-criterion for IOM",
        f"   NSW    = {settings.n_steps:6d}    number of steps for IOM",
        f"   NBLOCK = {settings.stride:6d}",
        f"   IBRION = {settings.ibrion:6d}    ionic relax: 0-MD 1-quasi-New 2-CG",
        f"   ISIF   = {settings.isif:6d}    stress and relaxation",
        f"   MDALGO = {settings.mdalgo:6d}",
        f"   POTIM  = {settings.timestep_fs:.4f}    time-step for ionic-motion",
        f"   TEIN   = {settings.begin_K:.1f}    initial temperature",
        f"   TEBEG  = {settings.begin_K:.1f};   TEEND  = {settings.end_K:.1f}",
        f"   SMASS  = {settings.smass:.2f}    Nose mass-parameter (am)",
        f"   PSTRESS= {settings.pressure_kB:.1f} pullay stress",
        f"   NELECT = {settings.n_electrons:12.4f}    total number of electrons",
        "",
    ]
    return "\n".join(lines) + "\n"


def step_text(step: IonicStep, settings: Settings) -> str:
    """One ionic step."""
    energy_eV = step.point.energy_eV
    parts = []
    for k, _ in enumerate(step.electronic_energies_eV(), 1):
        iteration = f" Iteration {step.number:6d}({k:4d})  "
        parts.append(f"\n\n{39 * '-'}{iteration}{39 * '-'}\n\n    LOOP:  cpu time    0.0000\n")
    reached = (
        "EDIFF is reached" if step.electronic is None else "EDIFF was not reached (unconverged)"
    )
    parts.append(f"\n{24 * '-'} aborting loop because {reached} {40 * '-'}\n\n")
    parts.append(
        " E-fermi :   0.0000     XC(G=0):   0.0000     alpha+bet :   0.0000\n"
        f" number of electron {settings.n_electrons:15.7f} magnetization\n\n"
        f"{_energy(energy_eV)}"
    )
    if settings.isif > 0:
        parts.append(_stress(step, settings))
    parts.append(_cell(step))
    table = np.hstack([step.fractional @ step.cell_A, step.point.forces_eV_per_A])
    parts.append(
        f" POSITION                                       TOTAL-FORCE (eV/Angst)\n{_RULE}\n"
        f"{rows(3 * ' %12.5f' + ' ' + 3 * ' %13.6f' + chr(10), table)}{_RULE}\n"
        "    total drift:                     "
        f"{''.join(f' {d:13.6f}' for d in step.point.forces_eV_per_A.sum(axis=0))}\n\n"
    )
    parts.append(_energy(energy_eV))
    if settings.pressure_kB and settings.is_relaxation:
        pv_eV = settings.pressure_kB / KILOBAR_PER_EV_PER_A3 * step.volume_A3
        parts.append(
            f"  enthalpy is  TOTEN    = {energy_eV + pv_eV:18.8f} eV   P V= {pv_eV:16.8f}\n\n"
        )
    if step.motion is not None:
        parts.append(_motion(step))
    parts.append(
        f"     LOOP+:  cpu time {step.point.took_s:9.4f}: real time {step.point.took_s:9.4f}\n"
    )
    return "".join(parts)


def end_text(message: str, took_s: float, *, is_stopped: bool) -> str:
    """Everything behind the last ionic step.

    Args:
        message: what was reached, if anything.
        took_s: time of the whole run.
        is_stopped: whether a STOPCAR ended it.
    """
    stopped = " soft stop encountered!  aborting job ...\n" if is_stopped else ""
    return (
        f"{f' {message}{chr(10)}' if message else ''}{stopped}\n\n"
        " General timing and accounting informations for this job:\n"
        f" {56 * '='}\n\n"
        f"                  Total CPU time used (sec): {took_s:12.3f}\n"
        f"                            User time (sec): {took_s:12.3f}\n"
        f"                          System time (sec): {0:12.3f}\n"
        f"                         Elapsed time (sec): {took_s:12.3f}\n\n"
        f"                   Maximum memory used (kb): {0:10.0f}.\n"
        "                   Average memory used (kb):          N/A\n"
    )


def _energy(energy_eV: float) -> str:
    return (
        f"  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n{_SHORT_RULE}\n"
        f"  free  energy   TOTEN  = {energy_eV:18.8f} eV\n\n"
        f"  energy  without entropy= {energy_eV:18.8f}  energy(sigma->0) = {energy_eV:18.8f}\n\n"
    )


def _stress(step: IonicStep, settings: Settings) -> str:
    kB = step.stress_kB
    six = (kB[0, 0], kB[1, 1], kB[2, 2], kB[0, 1], kB[1, 2], kB[2, 0])
    external_kB = float(np.trace(kB)) / 3 - settings.pressure_kB
    return (
        "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
        "  Direction    XX          YY          ZZ          XY          YZ          ZX\n"
        f"  in kB     {' '.join(f'{value:11.5f}' for value in six)}\n"
        f"  external pressure = {external_kB:12.2f} kB  "
        f"Pullay stress = {settings.pressure_kB:12.2f} kB\n\n"
    )


def _cell(step: IonicStep) -> str:
    vectors = np.hstack([step.cell_A, np.linalg.inv(step.cell_A).T])
    return (
        f" VOLUME and BASIS-vectors are now :\n{_RULE}\n"
        f"  volume of cell : {step.volume_A3:12.2f}\n"
        "      direct lattice vectors                 reciprocal lattice vectors\n"
        f"{rows('  ' + 6 * ' %12.9f' + chr(10), vectors)}\n\n"
    )


def _motion(step: IonicStep) -> str:
    motion = step.motion
    assert motion is not None
    return (
        f"  ENERGY OF THE ION-ELECTRON-THERMOSTAT SYSTEM (eV)\n{_SHORT_RULE}\n"
        f"% ion-electron   TOTEN  = {step.point.energy_eV:16.6f}  see above\n"
        f"  kinetic energy EKIN   = {motion.kinetic_eV:16.6f}\n"
        f"  kin. lattice  EKIN_LAT= {0:16.6f}  (temperature {motion.temperature_K:7.2f} K)\n"
        f"  nose potential ES     = {motion.thermostat_potential_eV:16.6f}\n"
        f"  nose kinetic   EPS    = {motion.thermostat_kinetic_eV:16.6f}\n{_SHORT_RULE}\n"
        f"  total energy   ETOTAL = {motion.conserved_eV(step.point.energy_eV):16.6f} eV\n\n"
    )
