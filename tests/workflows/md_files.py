"""Runs of molecular dynamics that are known, and files of them as other programs write them."""

import gzip
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write as ase_write
from ase.io.trajectory import TrajectoryWriter

CELL_A = np.array([[9.9, 0.0, 0.0], [2.1, 10.3, 0.0], [0.4, -0.7, 11.2]])
SPECIES = ("K",) * 4 + ("Ta",) * 2 + ("Cl",) * 12


@dataclass(frozen=True)
class Run:
    """Unwrapped fractional coordinates, shape (n_frames, n_atoms, 3), and what goes with them."""

    fractional: np.ndarray
    cell_A: np.ndarray
    species: tuple
    energies_eV: np.ndarray

    @property
    def positions_A(self):
        return self.fractional @ self.cell_A

    @property
    def conserved_eV(self):
        """With 1.5 eV of the atoms' motion and a thermostat's share."""
        return self.energies_eV + 1.5 + np.linspace(0, 0.2, len(self.energies_eV))

    @property
    def forces_eV_per_A(self):
        """As printed; of no potential."""
        return np.round(np.sin(7 * self.fractional), 6)

    def frames(self, *which):
        part = slice(*which)
        return replace(self, fractional=self.fractional[part], energies_eV=self.energies_eV[part])

    def images(self, wrapped=True):
        """As ASE's atoms."""
        for fractional, energy_eV in zip(self.fractional, self.energies_eV, strict=True):
            scaled = fractional % 1 if wrapped else fractional
            atoms = Atoms(self.species, scaled_positions=scaled, cell=self.cell_A, pbc=True)
            atoms.calc = SinglePointCalculator(atoms, energy=energy_eV)
            yield atoms


def random_run(n_frames=200, seed=0, step=0.02, species=SPECIES, cell_A=CELL_A):
    """Mobile ions walk at random, all atoms rattle, everything drifts across cell borders."""
    rng = np.random.default_rng(seed)
    n_atoms = len(species)
    mobile = np.array([symbol == "K" for symbol in species])[:, None]
    path = np.cumsum(rng.normal(0, step, (n_frames, n_atoms, 3)), axis=0) * mobile
    path += rng.normal(0, 0.01, (n_frames, n_atoms, 3))
    path += np.linspace(0, 1.5, n_frames)[:, None, None]
    energies_eV = rng.normal(-50, 0.1, n_frames)
    return Run(rng.random((n_atoms, 3)) + path, cell_A, tuple(species), energies_eV)


def hopping_run(n_frames=1500, seed=1, n_hops=150, hop_A=3.5):
    """Ions hop along the axes of a cubic cell, everything rattles; a frame every 20 fs."""
    rng = np.random.default_rng(seed)
    cell_A = 10.5 * np.eye(3)
    species = ("K",) * 8 + ("Ta",) * 4 + ("Cl",) * 24
    hops_A = np.zeros((n_frames, len(species), 3))
    when, who = rng.integers(1, n_frames, n_hops), rng.integers(0, 8, n_hops)
    steps_A = hop_A * np.eye(3)[rng.integers(0, 3, n_hops)] * rng.choice([-1, 1], n_hops)[:, None]
    np.add.at(hops_A, (when, who), steps_A)
    # a hop takes six frames, as between two sites it must
    path_A = sum(np.roll(hops_A, i, axis=0) / 6 for i in range(6)).cumsum(axis=0)
    path_A += rng.normal(0, 0.12, path_A.shape)
    sites = rng.permutation(np.indices((3, 3, 4)).reshape(3, -1).T)[: len(species)] / [3, 3, 4]
    return Run(sites + path_A / 10.5, cell_A, species, rng.normal(-100, 0.05, n_frames))


def write(path, content):
    """Text or bytes into a file, gzipped if its name ends in .gz."""
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def xdatcar(run, stride=1, first=None, header_each=False):
    """As VASP writes it: configurations numbered by the step."""
    counts = [(symbol, run.species.count(symbol)) for symbol in dict.fromkeys(run.species)]
    header = ["made up", "  1.0", *("  ".join(f"{x:.8f}" for x in row) for row in run.cell_A)]
    header += ["  ".join(symbol for symbol, _ in counts), "  ".join(str(n) for _, n in counts)]
    lines = [] if header_each else list(header)
    for i, frame in enumerate(run.fractional):
        lines += header if header_each else []
        lines.append(f"Direct configuration={(first or stride) + i * stride:6d}")
        lines += ["  ".join(f"{x:.8f}" for x in atom) for atom in frame % 1]
    return "\n".join(lines) + "\n"


def vasprun(run, **changes):
    """As VASP writes it in molecular dynamics, without what nobody reads here."""
    parameters = {"IBRION": 0, "POTIM": 2.0, "TEBEG": 600.0, "TEEND": 600.0, "MDALGO": 2}
    parameters |= {"SMASS": 0.5, "NBLOCK": 10} | changes
    version = parameters.pop("version", "6.4.2")
    atoms = "".join(f"<rc><c>{symbol:2}</c><c>1</c></rc>\n" for symbol in run.species)
    parts = [
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n',
        f'<generator><i name="version" type="string">{version}</i></generator>\n<parameters>\n',
        *(f'<i name="{name}">{value}</i>\n' for name, value in parameters.items()),
        f'</parameters>\n<atominfo><array name="atoms"><set>\n{atoms}</set></array></atominfo>\n',
        f'<structure name="initialpos">\n{_structure(run.cell_A, run.fractional[0])}</structure>\n',
    ]
    for frame, forces, energy_eV, total_eV in _steps(run):
        parts.append(
            f'<calculation>\n<scstep><energy><i name="e_fr_energy">1.0</i></energy></scstep>\n'
            f"<structure>\n{_structure(run.cell_A, frame % 1)}</structure>\n"
            f"{_varray('forces', forces)}"
            f'<energy><i name="e_fr_energy">{energy_eV:.8f}</i><i name="kinetic">1.5</i>'
            f'<i name="total">{total_eV:.8f}</i></energy>\n'
            "</calculation>\n"
        )
    return "".join([*parts, "</modeling>\n"])


def _structure(cell_A, fractional):
    basis, positions = _varray("basis", cell_A), _varray("positions", fractional)
    return f"<crystal>{basis}</crystal>{positions}"


def _varray(name, rows):
    lines = "".join("<v>" + " ".join(f"{x:16.8f}" for x in row) + "</v>\n" for row in rows)
    return f'<varray name="{name}">\n{lines}</varray>\n'


def outcar(run, **changes):
    """As VASP writes it in molecular dynamics, without what nobody reads here."""
    tags = {"IBRION": 0, "POTIM": "2.0000", "TEBEG": 600.0, "TEEND": 600.0, "SMASS": "0.50"}
    tags |= {"MDALGO": 2, "NBLOCK": 10} | changes
    symbols = list(dict.fromkeys(run.species))
    temperature_K = 2 * 1.5 / (3 * (len(run.species) - 1) * 8.617333262e-5)
    lines = [" vasp.6.4.2 20Jul23 (build) complex", "", " INCAR:", "   IBRION = 0"]
    lines += [f" POTCAR:    PAW_PBE {symbol}_sv 17Jan2003" for symbol in symbols]
    lines += [f"   TITEL  = PAW_PBE {symbol}_sv 17Jan2003" for symbol in symbols]
    counts = "".join(f"{run.species.count(symbol):4d}" for symbol in symbols)
    lines += [f"   number of dos NEDOS = 301   number of ions     NIONS = {len(run.species):6d}"]
    lines += [f"   ions per type =            {counts}"]
    lines += [f"   {key:6} = {value};   what it is" for key, value in tags.items() if value != ""]
    lines += _vectors(run.cell_A)
    for i, (frame, forces, energy_eV, total_eV) in enumerate(_steps(run)):
        lines += [f"{'-' * 41} Iteration {i + 1:4d}(   1)  {'-' * 39}"]
        lines += ["  free energy    TOTEN  =       -17.00000000 eV"]
        lines += ["  in kB       0.19199     0.50115    -0.72770", " VOLUME and BASIS-vectors"]
        lines += [
            *_vectors(run.cell_A),
            f" POSITION{' ' * 39}TOTAL-FORCE (eV/Angst)",
            " " + "-" * 83,
        ]
        lines += [
            "".join(f"{x:13.5f}" for x in position_A) + "   " + "".join(f"{x:14.6f}" for x in force)
            for position_A, force in zip(frame % 1 @ run.cell_A, forces, strict=True)
        ]
        lines += [" " + "-" * 83, "    total drift:       0.000000      0.000000      0.000000"]
        lines += [f"  free  energy   TOTEN  = {energy_eV:18.8f} eV"]
        lines += [f"% ion-electron   TOTEN  = {energy_eV:17.6f}  see above"]
        lines += [f"  kin. lattice  EKIN_LAT=   0.000000  (temperature {temperature_K:7.2f} K)"]
        lines += [f"  total energy   ETOTAL = {total_eV:17.6f} eV"]
    lines += [" General timing and accounting informations for this job:"]
    return "\n".join(lines) + "\n"


def _vectors(cell_A):
    rows = ["".join(f"{x:13.9f}" for x in row) + "     0.085092123" * 3 for row in cell_A]
    return ["      direct lattice vectors                 reciprocal lattice vectors", *rows]


def _steps(run):
    return zip(run.fractional, run.forces_eV_per_A, run.energies_eV, run.conserved_eV, strict=True)


def write_extxyz(path, run, wrapped=True):
    """By ASE."""
    ase_write(path, list(run.images(wrapped)), format="extxyz")
    return path


def write_traj(path, run, wrapped=True, **description):
    """By ASE, with what its dynamics would say of itself."""
    with TrajectoryWriter(path) as writer:
        writer.set_description(description)
        for atoms in run.images(wrapped):
            writer.write(atoms)
    return path
