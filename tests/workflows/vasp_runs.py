"""vasprun.xml files as VASP writes them, as far as pymatgen reads them for an energy."""

import gzip
from collections import Counter

from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.sets import MPRelaxSet

NACL = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]
).get_primitive_structure()


def write_run(path, structure=NACL, energy_eV=-6.72, *, functional="--", **changes):
    """Write a run whose settings are the Materials Project's but for `changes`.

    Args:
        path: of the file; gzipped if it ends in .gz.
        structure: of all its ionic steps.
        energy_eV: of the cell.
        functional: the tag GGA.
        changes: version, potcars, n_electronic_steps, n_ionic_steps, hubbard_U_eV (by element) or
            parameters (others' tags).
    """
    potcars = changes.get("potcars") or {
        symbol: f"PAW_PBE {MPRelaxSet.CONFIG['POTCAR'][symbol]} 01Jan2000"
        for symbol in Counter(site.specie.symbol for site in structure)
    }
    parameters = {"ENMAX": 520.0, "IBRION": 2, "NSW": 99, "NELM": 100, "ISMEAR": 0, "SIGMA": 0.05}
    parameters |= {"LDAU": False, "METAGGA": "--", "LHFCALC": False, "NELMIN": 1, "EDIFF": 1e-5}
    parameters |= {
        "GGA": functional,
        "AEXX": 0.0,
        "HFSCREEN": 0.0,
        "LUSE_VDW": False,
        "ISIF": 3,
        "EDIFFG": -0.02,
    }
    parameters |= changes.get("parameters", {})
    if hubbard_U_eV := changes.get("hubbard_U_eV"):
        parameters |= {"LDAU": True, "LDAUTYPE": 2}
        parameters["LDAUU"] = [hubbard_U_eV.get(symbol, 0.0) for symbol in potcars]
        parameters["LDAUJ"] = [0.0] * len(potcars)
        parameters["LDAUL"] = [2] * len(potcars)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _document(
        structure,
        energy_eV,
        potcars,
        parameters,
        version=changes.get("version", "6.4.2"),
        n_electronic_steps=changes.get("n_electronic_steps", 3),
        n_ionic_steps=changes.get("n_ionic_steps", 2),
    )
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def _document(
    structure, energy_eV, potcars, parameters, version, n_electronic_steps, n_ionic_steps
):
    tags = "".join(_tag(name, value) for name, value in parameters.items())
    energies = "".join(
        f'<i name="{name}">{energy_eV:.8f}</i>'
        for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    )
    scstep = f"<scstep><energy>{energies}</energy></scstep>"
    forces = "".join("<v>0.0 0.0 0.0</v>" for _ in structure)
    calculation = (
        f"<calculation>{scstep * n_electronic_steps}{_cell(structure)}"
        f'<varray name="forces">{forces}</varray>'
        f'<varray name="stress">{"<v>0.0 0.0 0.0</v>" * 3}</varray>'
        f"<energy>{energies}</energy></calculation>"
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>'
        f'<generator><i name="program" type="string">vasp</i>'
        f'<i name="version" type="string">{version}</i></generator>'
        f"<incar>{tags}</incar>"
        '<kpoints><generation param="Gamma"><v type="int" name="divisions">6 6 6</v>'
        '<v name="usershift">0 0 0</v></generation>'
        '<varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>'
        f"</kpoints><parameters>{tags}</parameters>{_atoms(structure, potcars)}"
        f"{_cell(structure, 'initialpos')}{calculation * n_ionic_steps}"
        f"{_cell(structure, 'finalpos')}</modeling>\n"
    )


def _tag(name, value):
    match value:
        case bool():
            return f'<i type="logical" name="{name}">{"T" if value else "F"}</i>'
        case int():
            return f'<i type="int" name="{name}">{value}</i>'
        case float():
            return f'<i name="{name}">{value}</i>'
        case list():
            kind = ' type="int"' if isinstance(value[0], int) else ""
            return f'<v{kind} name="{name}">{" ".join(map(str, value))}</v>'
    return f'<i type="string" name="{name}">{value}</i>'


def _atoms(structure, potcars):
    symbols = list(potcars)
    counts = Counter(site.specie.symbol for site in structure)
    atoms = "".join(
        f"<rc><c>{site.specie.symbol}</c><c>{symbols.index(site.specie.symbol) + 1}</c></rc>"
        for site in structure
    )
    types = "".join(
        f"<rc><c>{counts[symbol]}</c><c>{symbol}</c><c>1.0</c><c>1.0</c><c>{titel}</c></rc>"
        for symbol, titel in potcars.items()
    )
    return (
        f"<atominfo><atoms>{len(structure)}</atoms><types>{len(symbols)}</types>"
        f'<array name="atoms"><set>{atoms}</set></array>'
        f'<array name="atomtypes"><set>{types}</set></array></atominfo>'
    )


def _cell(structure, name=None):
    def rows(array):
        return "".join(f"<v>{' '.join(f'{x:.10f}' for x in row)}</v>" for row in array)

    lattice = structure.lattice
    named = f' name="{name}"' if name else ""
    return (
        f'<structure{named}><crystal><varray name="basis">{rows(lattice.matrix)}</varray>'
        f'<i name="volume">{lattice.volume}</i>'
        f'<varray name="rec_basis">{rows(lattice.inv_matrix.T)}</varray></crystal>'
        f'<varray name="positions">{rows(structure.frac_coords)}</varray></structure>'
    )
