"""The unmodified makers of atomate2 run on the stand-in, with custodian and emmet in between."""

import pytest
from atomate2.vasp.flows.mp import MPGGADoubleRelaxStaticMaker
from atomate2.vasp.jobs.md import MDMaker
from atomate2.vasp.sets.core import MDSetGenerator
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import SETTINGS
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from rehearsal_runs import NACL_PRIMITIVE, launcher

from workflows.rehearsal import REHEARSAL_VERSION
from workflows.rehearsal.potcars import write_potcars


@pytest.mark.filterwarnings("ignore")  # of pymatgen, custodian, emmet and jobflow, none of ours
def test_relaxation_static_run_and_dynamics(tmp_path, monkeypatch):
    for functional in ("PBE", "PBE_54"):
        write_potcars(tmp_path / "potcars", ["Na_pv", "Cl"], functional)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "potcars"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = {
        "vasp_cmd": str(launcher(tmp_path, "vasp_std")),
        "vasp_gamma_cmd": str(launcher(tmp_path, "vasp_gam")),
        "custodian_kwargs": {"polling_time_step": 0.2},
    }
    maker = MPGGADoubleRelaxStaticMaker()
    for step in (maker.relax_maker.relax_maker1, maker.relax_maker.relax_maker2):
        step.run_vasp_kwargs = settings
    maker.static_maker.run_vasp_kwargs = settings
    strained = NACL_PRIMITIVE.copy()
    strained.apply_strain(0.02)
    relaxation = maker.make(strained)
    dynamics = MDMaker(
        input_set_generator=MDSetGenerator(
            nsteps=4, time_step=2, user_incar_settings={"GGA": None}
        ),
        run_vasp_kwargs=settings,
    ).make(relaxation.output.structure)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    responses = run_locally(
        Flow([relaxation, dynamics]),
        store=store,
        root_dir=tmp_path / "jobs",
        create_folders=True,
        ensure_success=True,
        log=False,
    )
    documents = [by_index[1].output for by_index in responses.values()]
    assert len(documents) == 4
    for document in documents:
        assert document.vasp_version == REHEARSAL_VERSION
        assert document.state == "successful"
    static, moved = documents[2:]
    assert static.output.structure.volume < strained.volume
    assert moved.input.parameters["NSW"] == 4
    entry = static.structure_entry
    entry.entry_id = "static"
    (corrected,) = MaterialsProject2020Compatibility().process_entries([entry])
    assert corrected.correction_per_atom == pytest.approx(-0.614 / 2, abs=1e-6)
    assert corrected.energy_per_atom == pytest.approx(-3.668, abs=2e-3)
