"""Tags that the stand-in refuses, and that it must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Incar as UpstreamIncar
from pymatgen.io.vasp.sets import MPRelaxSet, MPStaticSet
from rehearsal_runs import NACL, ktacl6, prepare

from workflows.rehearsal.incar import Incar
from workflows.rehearsal.inputs import read_inputs
from workflows.rehearsal.program import run
from workflows.rehearsal.settings import read_settings
from workflows.rehearsal.stopped import Stopped
from workflows.rehearsal.tags import ALLOWED, HONOURED, WITHOUT_EFFECT, check_tags

MD = {"IBRION": 0, "POTIM": 2, "NSW": 5, "TEBEG": 300}
REFUSED = [
    ({"METAGGA": "R2SCAN"}, "METAGGA = R2SCAN .* allowed: NONE"),
    ({"GGA": "PS"}, "GGA = PS .* allowed: PE"),
    ({"IVDW": 12}, "IVDW = 12 .* allowed: 0"),
    ({"LUSE_VDW": ".TRUE."}, r"LUSE_VDW = \.TRUE\. .* allowed: \.FALSE\."),
    ({"LHFCALC": ".TRUE."}, r"LHFCALC = \.TRUE\."),
    ({"LSORBIT": ".TRUE."}, r"LSORBIT = \.TRUE\."),
    ({"LNONCOLLINEAR": "T"}, r"LNONCOLLINEAR = \.TRUE\."),
    ({"NELECT": 60}, "NELECT = 60 charges the cell.* allowed: 56"),
    ({"NUPDOWN": 2}, "NUPDOWN = 2 .* allowed: -1"),
    ({"EFIELD": 0.1}, "EFIELD = 0.1"),
    ({"LSOL": ".TRUE."}, "LSOL"),
    ({"IMAGES": 4}, "IMAGES = 4"),
    ({"ICHAIN": 2}, "ICHAIN = 2"),
    ({"IBRION": 5}, "IBRION = 5 .* allowed: -1 or 0 or 1 or 2 or 3"),
    ({"IBRION": 8}, "IBRION = 8"),
    ({"IBRION": 44}, "IBRION = 44"),
    ({"ML_LMLFF": ".TRUE."}, "ML_LMLFF"),
    ({"ISMEAR": -2}, "ISMEAR = -2"),
    ({"ICHARG": 11}, "ICHARG = 11"),
    ({"LEPSILON": ".TRUE."}, "LEPSILON"),
    ({"LOPTICS": ".TRUE."}, "LOPTICS"),
    ({"ALGO": "GW0"}, "ALGO = GW0"),
    ({"AGGAC": 0.5}, "AGGAC = 0.5 .* allowed: 1"),
    ({"IOPT": 7}, "IOPT = 7"),
    ({"MDALGO": 5}, "MDALGO = 5 .* allowed: 0 or 1 or 2 or 3"),
    ({"ISIF": 9}, "ISIF = 9"),
    ({"EDIFFFG": 0.1}, "EDIFFFG = 0.1 is a tag that .* does not know"),
    (MD | {"ISIF": 3}, "ISIF = 3 .* allowed: 0, 1 or 2 with IBRION = 0"),
    (MD | {"MDALGO": 2, "SMASS": -3}, r"SMASS = -3.0 .* allowed: 0 or more"),
    (MD | {"SMASS": -2}, r"SMASS = -2.0 .* allowed: -3, -1, or 0 or more"),
    (MD | {"PSTRESS": 10}, "PSTRESS = 10"),
    (MD | {"POTIM": None}, "needs a time step, POTIM"),
    (
        MD | {"MDALGO": 3, "LANGEVIN_GAMMA": "10 10 10"},
        "LANGEVIN_GAMMA holds 3 values; needed: .*2",
    ),
    ({"LDAU": "T", "LDAUU": "3 4 5"}, "LDAUU holds 3 values; needed: one for each of 2"),
    ({"NSW": "many"}, "NSW = 'many' cannot be read; needed: a whole number"),
    ({"POTIM": "short"}, "POTIM = 'short' cannot be read; needed: a number"),
    ({"LWAVE": "perhaps"}, r"LWAVE = 'perhaps' cannot be read; needed: \.TRUE\. or \.FALSE\."),
]


@pytest.mark.parametrize(("tags", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_physics_that_is_not_honoured_is_refused(tmp_path, tags, message):
    with pytest.raises(Stopped, match=message):
        settings_of(prepare(tmp_path, NACL, **tags))


def settings_of(folder):
    inputs = read_inputs(folder)
    settings = read_settings(inputs)
    settings.parameters(inputs)
    return settings


def test_the_run_ends_before_any_output(tmp_path, capsys):
    prepare(tmp_path, NACL, METAGGA="SCAN")
    before = sorted(tmp_path.iterdir())
    assert run(tmp_path) == 1
    assert "METAGGA = SCAN" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "tags",
    [
        {"IVDW": 0, "LHFCALC": ".FALSE.", "METAGGA": "none", "GGA": "--", "NUPDOWN": -1},
        {"METAGGA": "--", "LSORBIT": "F", "EFIELD": "0.0", "LDIPOL": ".false.", "IMAGES": 0},
        {"NELECT": 56, "ICHARG": 1, "ALGO": "Normal", "ISMEAR": -5, "LREAL": "Auto"},
        {"MAGMOM": "4*0.6 2*-1 2*0", "SYSTEM": ["Titanium ", " NSW = 9"][0]},
        {"GGA": "PE", "LASPH": ".TRUE.", "ADDGRID": ".TRUE.", "KPAR": 2, "NCORE": 4},
    ],
)
def test_vasps_own_defaults_and_what_concerns_electrons_alone_are_accepted(tmp_path, tags):
    settings_of(prepare(tmp_path, NACL, **tags))


@pytest.mark.parametrize("name", ["ICONST", "PENALTYPOT", "HILLSPOT"])
def test_files_that_ask_for_more_are_refused(tmp_path, name):
    prepare(tmp_path, NACL)
    (tmp_path / name).write_text("LR 1 7\n")
    with pytest.raises(Stopped, match=f"{name}: .* not honoured"):
        read_inputs(tmp_path)
    (tmp_path / name).write_text("")
    read_inputs(tmp_path)


def test_no_tag_is_in_two_tables_that_contradict_each_other():
    assert not WITHOUT_EFFECT & HONOURED
    assert not WITHOUT_EFFECT & ALLOWED.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("input_set", [MPRelaxSet, MPStaticSet])
@pytest.mark.parametrize("symbols", [("Na", "Cl"), ("Fe", "O"), ("Mn", "F"), ("Cs", "I")])
def test_the_materials_projects_sets_are_accepted(input_set, symbols):
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.0), list(symbols), [[0] * 3, [0.5] * 3]
    )
    text = str(input_set(structure).incar)
    incar = Incar.parse(text)
    check_tags(incar)
    upstream = UpstreamIncar.from_str(text)
    for tag, value in incar.items():
        expected = upstream[tag]
        assert value == expected or str(value).upper() == str(expected).upper(), tag


@pytest.mark.filterwarnings("ignore")
def test_atomate2s_dynamics_are_accepted_but_for_their_functional(tmp_path):
    from atomate2.vasp.sets.core import MDSetGenerator

    for ensemble in ("nvt", "nve"):
        generator = MDSetGenerator(ensemble=ensemble, user_incar_settings={"GGA": None})
        incar = generator.get_input_set(ktacl6(), potcar_spec=True).incar
        check_tags(Incar.parse(str(incar)))
    incar = MDSetGenerator().get_input_set(ktacl6(), potcar_spec=True).incar
    with pytest.raises(Stopped, match="GGA = Ps"):
        check_tags(Incar.parse(str(incar)))


def test_the_syntax_of_vasp():
    incar = Incar.parse(
        "SYSTEM = a title = with signs # comment\n"
        "nsw = 5; IBRION=2 ! more\n"
        "\n"
        "MAGMOM = 2*1.5 \\\n 3*0\n"
        "LWAVE = .FALSE.\n"
        "EDIFF = 1d-5\n"
        "ALGO = Fast\n"
        "EMPTY =\n"
        "NSW = 7\n"
        'GGA = "PE"\n'
        "LDAUU = 4"
    )
    assert dict(incar) == {
        "SYSTEM": "a title = with signs",
        "NSW": 5,  # the first one counts
        "IBRION": 2,
        "MAGMOM": [1.5, 1.5, 0, 0, 0],
        "LWAVE": False,
        "EDIFF": 1e-5,
        "ALGO": "Fast",
        "GGA": "PE",
        "LDAUU": [4],
    }


def test_a_line_that_assigns_nothing_is_an_error():
    with pytest.raises(Stopped, match="'NSW 5' assigns nothing; needed: TAG = VALUE"):
        Incar.parse("IBRION = 2\nNSW 5\n")


@given(
    st.dictionaries(
        st.sampled_from(["EDIFF", "NSW", "LWAVE", "POTIM", "SIGMA", "NELM", "LCHARG"]),
        st.one_of(st.booleans(), st.integers(-99, 99), st.floats(1e-9, 1e9)),
    )
)
def test_what_is_written_is_read(values):
    text = "\n".join(f"{tag} = {value}" for tag, value in values.items())
    assert dict(Incar.parse(text)) == values
