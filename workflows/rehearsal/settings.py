"""Tags with VASP's defaults filled in, and the combinations that are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.rehearsal.stopped import Stopped
from workflows.rehearsal.tags import refusal

if TYPE_CHECKING:
    from workflows.rehearsal.incar import Value
    from workflows.rehearsal.inputs import Inputs

_CUTOFF_OF_HIGH = 1.3  # times the largest of the potentials
_LOWEST_TEMPERATURE_K = 1e-4
_MICROCANONICAL = -3.0
_SCALED_VELOCITIES = -1.0


@dataclass(frozen=True)
class Settings:
    """What a run does.

    Args:
        n_steps: NSW, not negative.
        ibrion: -1 rests, 0 is dynamics, others are relaxations.
        isif: which of positions, shape and volume move.
        mdalgo: with `smass`, the ensemble of dynamics.
        smass: of a Nosé–Hoover thermostat, or a negative code.
        ediffg: where relaxations end: a change of energy in eV, or minus a force in eV/Å.
        ediff_eV: where electrons would be converged.
        timestep_fs: POTIM.
        begin_K: start of a linear ramp of temperature.
        end_K: its end.
        pressure_kB: PSTRESS.
        stride: steps between frames of the XDATCAR, NBLOCK.
        n_electronic: NELM.
        andersen_probability: of a collision, per atom and step.
        friction_per_ps: LANGEVIN_GAMMA of every block of atoms.
        seed: RANDOM_SEED.
        n_bands: of the electrons, for the record.
        n_electrons: likewise.
        cutoff_eV: likewise.
        n_spins: likewise.
    """

    n_steps: int
    ibrion: int
    isif: int
    mdalgo: int
    smass: float
    ediffg: float
    ediff_eV: float
    timestep_fs: float
    begin_K: float
    end_K: float
    pressure_kB: float
    stride: int
    n_electronic: int
    andersen_probability: float
    friction_per_ps: tuple[float, ...]
    seed: tuple[int, ...]
    n_bands: int
    n_electrons: float
    cutoff_eV: float
    n_spins: int

    @property
    def is_dynamics(self) -> bool:
        """Whether the atoms move by themselves."""
        return self.ibrion == 0 and self.n_steps > 0

    @property
    def is_relaxation(self) -> bool:
        """Whether they move downhill."""
        return self.ibrion > 0 and self.n_steps > 0

    def parameters(self, inputs: Inputs) -> dict[str, Value]:
        """The section of vasprun.xml that holds every tag that counts, given or not."""
        incar = inputs.incar
        n_types, n_atoms = len(inputs.headers), len(inputs.poscar.fractional)
        return {
            "SYSTEM": incar.text("SYSTEM", "unknown system"),
            "PREC": incar.text("PREC", "normal").lower(),
            "ENMAX": self.cutoff_eV,
            "EDIFF": self.ediff_eV,
            "EDIFFG": self.ediffg,
            "NSW": self.n_steps,
            "NBLOCK": self.stride,
            "KBLOCK": incar.whole("KBLOCK", max(self.n_steps, 1)),
            "IBRION": self.ibrion,
            "ISIF": self.isif,
            "MDALGO": self.mdalgo,
            "ISYM": incar.whole("ISYM", 2),
            "SYMPREC": incar.real("SYMPREC", 1e-5),
            "POTIM": self.timestep_fs,
            "TEBEG": self.begin_K,
            "TEEND": self.end_K,
            "SMASS": self.smass,
            "PSTRESS": self.pressure_kB,
            "NELM": self.n_electronic,
            "NELMIN": incar.whole("NELMIN", 2),
            "NELECT": self.n_electrons,
            "NBANDS": self.n_bands,
            "ISPIN": self.n_spins,
            "MAGMOM": list(incar.reals("MAGMOM", n_atoms * [1.0])),
            "ISMEAR": incar.whole("ISMEAR", 1),
            "SIGMA": incar.real("SIGMA", 0.2),
            "LORBIT": incar.whole("LORBIT", 0),
            "LASPH": incar.flag("LASPH", default=False),
            "LREAL": incar.get("LREAL", False) is not False,
            "LWAVE": incar.flag("LWAVE", default=True),
            "LCHARG": incar.flag("LCHARG", default=True),
            "GGA": incar.text("GGA", "--").upper(),
            "METAGGA": "--",
            "LHFCALC": False,
            "AEXX": 0.0,
            "HFSCREEN": 0.0,
            "LUSE_VDW": False,
            "IVDW": 0,
            "LDAU": incar.flag("LDAU", default=False),
            "LDAUTYPE": incar.whole("LDAUTYPE", 2),
            "LDAUL": [int(number) for number in incar.reals("LDAUL", n_types * [2.0])],
            "LDAUU": list(incar.reals("LDAUU", n_types * [0.0])),
            "LDAUJ": list(incar.reals("LDAUJ", n_types * [0.0])),
        }


def read_settings(inputs: Inputs) -> Settings:
    """Fill in what the INCAR leaves to VASP.

    Raises:
        Stopped: a value that is no number, or a combination that is not honoured.
    """
    incar = inputs.incar
    n_steps = max(incar.whole("NSW", 0), 0)
    ibrion = incar.whole("IBRION", 0 if n_steps > 0 else -1)
    ediff_eV = incar.real("EDIFF", 1e-4)
    begin_K = incar.real("TEBEG", _LOWEST_TEMPERATURE_K)
    n_types = len(inputs.headers)
    n_electrons = incar.real("NELECT", inputs.n_electrons)
    settings = Settings(
        n_steps=n_steps,
        ibrion=ibrion,
        isif=incar.whole("ISIF", 0 if ibrion == 0 else 2),
        mdalgo=incar.whole("MDALGO", 0),
        smass=incar.real("SMASS", _MICROCANONICAL),
        ediffg=incar.real("EDIFFG", 10 * ediff_eV),
        ediff_eV=ediff_eV,
        timestep_fs=incar.real("POTIM", 0.5),
        begin_K=begin_K,
        end_K=incar.real("TEEND", begin_K),
        pressure_kB=incar.real("PSTRESS", 0.0),
        stride=max(incar.whole("NBLOCK", 1), 1),
        n_electronic=max(incar.whole("NELM", 60), 1),
        andersen_probability=incar.real("ANDERSEN_PROB", 0.0),
        friction_per_ps=tuple(incar.reals("LANGEVIN_GAMMA", n_types * [0.0])),
        seed=tuple(int(number) for number in incar.reals("RANDOM_SEED", [0.0])),
        n_bands=incar.whole("NBANDS", _n_bands(n_electrons, len(inputs.poscar.fractional))),
        n_electrons=n_electrons,
        cutoff_eV=incar.real("ENCUT", _cutoff_eV(inputs)),
        n_spins=incar.whole("ISPIN", 1),
    )
    _check_together(settings, inputs)
    if settings.is_dynamics:
        _check_dynamics(settings, inputs)
    return settings


def _check_together(settings: Settings, inputs: Inputs) -> None:
    if inputs.incar.flag("LDAU", default=False):
        for tag in ("LDAUU", "LDAUJ"):
            n_given = len(inputs.incar.reals(tag, []))
            if n_given not in {0, len(inputs.headers)}:
                raise Stopped(
                    f"INCAR: {tag} holds {n_given} values; needed: one for each of "
                    f"{len(inputs.headers)} blocks of atoms"
                )


def _check_dynamics(settings: Settings, inputs: Inputs) -> None:
    """Refuse what is no dynamics of atoms in a fixed cell."""
    if "POTIM" not in inputs.incar:
        raise Stopped("INCAR: molecular dynamics (IBRION = 0) needs a time step, POTIM in fs")
    if settings.isif > 2:
        raise refusal("ISIF", settings.isif, "0, 1 or 2 with IBRION = 0, the cell being fixed")
    if settings.mdalgo == 2 and settings.smass < 0:
        raise refusal("SMASS", settings.smass, "0 or more with MDALGO = 2")
    honoured = settings.smass >= 0 or settings.smass in {_MICROCANONICAL, _SCALED_VELOCITIES}
    if settings.mdalgo == 0 and not honoured:
        raise refusal("SMASS", settings.smass, "-3, -1, or 0 or more with MDALGO = 0")
    if settings.mdalgo == 3 and len(settings.friction_per_ps) != len(inputs.headers):
        raise Stopped(
            f"INCAR: LANGEVIN_GAMMA holds {len(settings.friction_per_ps)} values; needed: one "
            f"for each of {len(inputs.headers)} blocks of atoms"
        )
    if settings.pressure_kB:
        raise refusal("PSTRESS", settings.pressure_kB, "0 with IBRION = 0, the cell being fixed")
    if settings.timestep_fs <= 0 or min(settings.begin_K, settings.end_K) < 0:
        raise Stopped("INCAR: POTIM must be positive, TEBEG and TEEND not negative")


def _n_bands(n_electrons: float, n_atoms: int) -> int:
    """VASP's default."""
    return max(int(n_electrons / 2) + max(n_atoms // 2, 3), int(0.6 * n_electrons))


def _cutoff_eV(inputs: Inputs) -> float:
    largest_eV = max(header.cutoff_eV for header in inputs.headers)
    is_high = inputs.incar.text("PREC", "NORMAL").upper().startswith("H")
    return largest_eV * (_CUTOFF_OF_HIGH if is_high else 1.0)
