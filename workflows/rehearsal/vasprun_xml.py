"""vasprun.xml as text: what stands before, in and behind its ionic steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

from workflows.rehearsal import NOTICE, REHEARSAL_VERSION
from workflows.rehearsal.steps import rows, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workflows.rehearsal.incar import Value
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.kpoints import Kpoints
    from workflows.rehearsal.poscar import Poscar
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.steps import IonicStep

_NUMBER = " %15.8f"
_BAND_EDGES_EV = (-2.0, 2.0)
_DOS_GRID_EV = (-5.0, 0.0, 5.0)


def header_text(inputs: Inputs, settings: Settings) -> str:
    """Everything before the first ionic step."""
    now = time.localtime()
    generator = {
        "program": "vasp",
        "version": REHEARSAL_VERSION,
        "subversion": NOTICE,
        "platform": "halideflow",
        "date": time.strftime("%Y %m %d", now),
        "time": time.strftime("%H:%M:%S", now),
    }
    incar = {tag: value for tag, value in inputs.incar.items() if value not in ("", [])}
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<modeling>\n{_section('generator', generator)}{_section('incar', incar)}"
        f"{_kpoints(inputs.kpoints)}{_section('parameters', settings.parameters(inputs))}"
        f"{_atoms(inputs)}{structure(inputs.poscar, 'initialpos')}"
    )


def step_text(step: IonicStep, inputs: Inputs, settings: Settings) -> str:
    """One ionic step, with the electrons' bands behind the last."""
    energy_eV = step.point.energy_eV
    parts = [" <calculation>\n"]
    for electronic_eV, _ in step.electronic_energies_eV():
        parts.append(
            f'  <scstep>\n   <time name="total">    0.00    0.00</time>\n'
            f"{_energies(electronic_eV, indent='   ')}  </scstep>\n"
        )
    parts.append(_crystal(step.cell_A, step.fractional))
    parts.append(_varray("forces", step.point.forces_eV_per_A))
    if settings.isif > 0:
        parts.append(_varray("stress", step.stress_kB))
    more = {}
    if (motion := step.motion) is not None:
        more = {
            "kinetic": motion.kinetic_eV,
            "lattice kinetic": 0.0,
            "nosepot": motion.thermostat_potential_eV,
            "nosekinetic": motion.thermostat_kinetic_eV,
            "total": motion.conserved_eV(energy_eV),
        }
    parts.append(_energies(energy_eV, more))
    took_s = step.point.took_s
    parts.append(f'  <time name="totalsc">{took_s:9.2f}{took_s:9.2f}</time>\n')
    if step.is_last:
        parts.append(_electrons(inputs.kpoints, settings))
    return "".join(parts) + " </calculation>\n"


def end_text(poscar: Poscar) -> str:
    """Everything behind the last ionic step."""
    return f"{structure(poscar, 'finalpos')}</modeling>\n"


def structure(poscar: Poscar, name: str) -> str:
    """A named crystal."""
    movable = ""
    if poscar.movable is not None:
        lines = (" ".join("T" if free else "F" for free in row) for row in poscar.movable)
        movable = "".join(f'   <v type="logical" > {line} </v>\n' for line in lines)
        movable = f'  <varray type="logical" name="selective" >\n{movable}  </varray>\n'
    return _crystal(poscar.cell_A, wrapped(poscar.fractional), f' name="{name}"', movable)


def _crystal(
    cell_A: NDArray[np.float64],
    fractional: NDArray[np.float64],
    name: str = "",
    behind: str = "",
) -> str:
    reciprocal_per_A = np.asarray(np.linalg.inv(cell_A).T, dtype=np.float64)
    return (
        f"  <structure{name} >\n   <crystal>\n{_varray('basis', cell_A)}"
        f'    <i name="volume">{abs(np.linalg.det(cell_A)):16.8f} </i>\n'
        f"{_varray('rec_basis', reciprocal_per_A)}   </crystal>\n"
        f"{_varray('positions', fractional)}{behind}  </structure>\n"
    )


def _varray(name: str, array: NDArray[np.float64]) -> str:
    template = f"   <v>{array.shape[1] * _NUMBER} </v>\n"
    return f'  <varray name="{name}" >\n{rows(template, array)}  </varray>\n'


def _energies(energy_eV: float, more: Mapping[str, float] | None = None, indent: str = "  ") -> str:
    values = dict.fromkeys(("e_fr_energy", "e_wo_entrp", "e_0_energy"), energy_eV)
    values |= more or {}
    lines = (f'{indent} <i name="{name}">{value:16.8f} </i>\n' for name, value in values.items())
    return f"{indent}<energy>\n{''.join(lines)}{indent}</energy>\n"


def _section(name: str, values: Mapping[str, Value]) -> str:
    return f" <{name}>\n{''.join(_item(*item) for item in values.items())} </{name}>\n"


def _item(name: str, value: Value) -> str:
    is_list = isinstance(value, list)
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, str) for item in items):
        kind, words = ' type="string"', [escape(str(item)) for item in items]
    elif all(isinstance(item, bool) for item in items):
        kind, words = ' type="logical"', ["T" if item else "F" for item in items]
    elif all(isinstance(item, int) for item in items):
        kind, words = ' type="int"', [f"{item:6d}" for item in items]
    else:
        kind, words = "", [f"{float(item):16.8f}" for item in items]
        if any(item and abs(float(item)) < 1e-3 for item in items):
            words = [f"{float(item):16.8E}" for item in items]
    tag = "v" if is_list else "i"
    return f'  <{tag}{kind} name="{name}">{" ".join(words)}</{tag}>\n'


def _kpoints(kpoints: Kpoints) -> str:
    mesh = ""
    if kpoints.divisions is not None:
        vectors = "".join(
            f'   <v name="genvec{i}">{_NUMBER % x}{_NUMBER % y}{_NUMBER % z} </v>\n'
            for i, (x, y, z) in enumerate(np.diag(1 / np.array(kpoints.divisions)).tolist(), 1)
        )
        mesh = (
            f'  <generation param="{kpoints.style}">\n'
            f'   <v type="int" name="divisions">{" ".join(map(str, kpoints.divisions))}</v>\n'
            f'   <v name="usershift">{" ".join(f"{s:.8f}" for s in kpoints.shift)}</v>\n{vectors}'
            '   <v name="shift"> 0.00000000 0.00000000 0.00000000 </v>\n  </generation>\n'
        )
    return (
        f" <kpoints>\n{mesh}{_varray('kpointlist', kpoints.points)}"
        f"{_varray('weights', kpoints.weights[:, None])} </kpoints>\n"
    )


def _atoms(inputs: Inputs) -> str:
    poscar = inputs.poscar
    blocks = list(zip(poscar.symbols, poscar.counts, inputs.headers, strict=True))
    atoms = "".join(
        n * f"    <rc><c>{symbol:2s}</c><c>{number:4d}</c></rc>\n"
        for number, (symbol, n, _) in enumerate(blocks, 1)
    )
    types = "".join(
        f"    <rc><c>{n:4d}</c><c>{symbol:2s}</c><c>{header.mass_u:16.8f}</c>"
        f"<c>{header.n_valence:16.8f}</c><c>  {header.title:38s}</c></rc>\n"
        for symbol, n, header in blocks
    )
    return (
        f" <atominfo>\n  <atoms> {sum(poscar.counts)} </atoms>\n  <types> {len(blocks)} </types>\n"
        '  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n'
        '   <field type="string">element</field>\n   <field type="int">atomtype</field>\n'
        f"   <set>\n{atoms}   </set>\n  </array>\n"
        '  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n'
        '   <field type="int">atomspertype</field>\n   <field type="string">element</field>\n'
        "   <field>mass</field>\n   <field>valence</field>\n"
        '   <field type="string">pseudopotential</field>\n'
        f"   <set>\n{types}   </set>\n  </array>\n </atominfo>\n"
    )


def _electrons(kpoints: Kpoints, settings: Settings) -> str:
    """Flat bands with a gap, for readers that must find some; they say nothing of the crystal."""
    valence_eV, conduction_eV = _BAND_EDGES_EV
    n_full = round(settings.n_electrons / 2)
    bands = "".join(
        f"      <r> {valence_eV if band < n_full else conduction_eV:9.4f} "
        f"{1.0 if band < n_full else 0.0:8.4f} </r>\n"
        for band in range(settings.n_bands)
    )
    points = "".join(
        f'      <set comment="kpoint {k}">\n{bands}      </set>\n'
        for k in range(1, len(kpoints.points) + 1)
    )
    states = "".join(
        f"      <r> {energy_eV:9.4f} 0.0000 0.0000 </r>\n" for energy_eV in _DOS_GRID_EV
    )
    spins = range(1, settings.n_spins + 1)
    eigenvalues = "".join(
        f'     <set comment="spin {spin}">\n{points}     </set>\n' for spin in spins
    )
    densities = "".join(
        f'      <set comment="spin {spin}">\n{states}      </set>\n' for spin in spins
    )
    return (
        '  <eigenvalues>\n   <array>\n    <dimension dim="1">band</dimension>\n'
        '    <dimension dim="2">kpoint</dimension>\n    <dimension dim="3">spin</dimension>\n'
        "    <field>eigene</field>\n    <field>occ</field>\n"
        f"    <set>\n{eigenvalues}    </set>\n   </array>\n  </eigenvalues>\n"
        f'  <dos>\n   <i name="efermi">{0:16.8f} </i>\n   <total>\n    <array>\n'
        '     <dimension dim="1">gridpoints</dimension>\n     <dimension dim="2">spin</dimension>\n'
        "     <field>energy</field>\n     <field>total</field>\n     <field>integrated</field>\n"
        f"     <set>\n{densities}     </set>\n    </array>\n   </total>\n  </dos>\n"
    )
