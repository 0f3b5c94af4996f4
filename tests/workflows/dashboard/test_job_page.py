"""One job: cause, inputs, steps, logs and files, and nothing outside of its folder."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import time
import tracemalloc
from urllib.parse import unquote

import numpy as np
import pytest
from argon import ARGON, Argon
from browsers import CHROMIUM, chromium, dashboard
from campaigns import SMALL, halideflow
from dashboards import DONE, FAILED, client_of
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp.outputs import Oszicar
from test_jobs_page import EVIL, change, listed, uuid_of

from workflows.cli.results import open_results
from workflows.dashboard.pages import job as page_of_a_job
from workflows.execution.folders import KEPT_FILES
from workflows.job_files import JobFile, chunks, end_of, files_of
from workflows.job_inputs import vasp_sheets
from workflows.job_list import JobFilter
from workflows.job_steps import steps_of
from workflows.nvt import Leg, NvtRun
from workflows.step_files import read_checkpoints, read_optimizer_log, read_oszicar

REHEARSED = """\
name: rehearsed
engine:
  name: rehearsal
  vasp: {relax: {incar: {EDIFFG: -0.03}}}
candidates:
  files:
    - {path: nacl-a.cif, mobile_ion: Na}
relax: {rattle_A: 0}
dynamics:
  temperatures_K: [400]
  heating_ps: 0.04
  equilibration_ps: 0.04
  segment_ps: 0.1
  production_ps: 0.1
  frame_interval_fs: 4
  min_cell_width_A: 3
"""
OPTIMIZER = """\
      Step     Time          Energy          fmax
FIRE:    0 12:00:00       -9.000000        0.900000
FIRE:    1 12:00:01       -9.100000        0.500000
      Step     Time          Energy          fmax
FIRE:    0 12:01:00       -8.500000        1.200000
FIRE:    1 12:01:01       -8.750000        0.700000
FIRE:    2 12:01:02       -8.800000*       0.100000
"""


@pytest.fixture(scope="module")
def rehearsed(finished, tmp_path_factory):
    """By the VASP path; the first relaxation had its electrons corrected on the way."""
    folder = tmp_path_factory.mktemp("rehearsed")
    SMALL["nacl-a"][1].to(str(folder / "nacl-a.cif"))
    config = folder / "campaign.yaml"
    config.write_text(REHEARSED)
    faults = {"HALIDEFLOW_REHEARSAL_FAULTS": "scf where=*relax-1 times=1"}
    os.environ.update(faults)
    try:
        run = halideflow("run", config, "--workers", 1)
    finally:
        for name in faults:
            del os.environ[name]
    assert run.returncode == 0, run.stderr
    return config


def job_of(config, uuid):
    (found,) = open_results(config).jobs.page(JobFilter(uuid=uuid))
    return found


def page(config, uuid, rest="", status=200):
    answer = client_of(config).get(f"/c/campaign/jobs/{uuid}{rest}")
    assert answer.status_code == status, answer.text
    return answer.text


def folder_of(config, uuid):
    folder = config.parent / "campaign" / "work" / uuid
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_failed_job_says_why_and_what_to_do(finished):
    html = page(finished, uuid_of(finished, FAILED, "relax"))
    for said in (
        '<h2 id="failure-title">UNUSABLE_STRUCTURE</h2>',
        "Cl (atom 5) and Cl (atom 9)",
        "The structure makes no sense",
        f"<code>halideflow run {finished}</code>",
        "data-copy",
    ):
        assert said in html
    assert "hx-trigger" not in html.partition("</h1>")[0].partition('<div id="job"')[2]


@pytest.mark.parametrize("uuid", ["0" * 36, "1", "%3Cscript%3E"])
def test_a_job_that_is_not_there_is_not_found(finished, uuid):
    html = page(finished, uuid, status=404)
    assert "has no job" in html
    assert "<script>" not in html.partition("<main")[2]


def test_the_beginning_of_a_name_is_not_enough(finished):
    page(finished, uuid_of(finished, FAILED, "relax")[:8], status=404)


def test_settings_are_held_against_the_defaults(finished):
    html = page(finished, uuid_of(finished, DONE, "relax"))
    assert "<del>0.03</del>" in html
    assert "<ins>0.1</ins>" in html
    moved = page(finished, uuid_of(finished, DONE, "dynamics"))
    assert "<ins>[300, 600]</ins>" in moved
    assert "<code>dynamics.timestep_fs</code>" in moved


def test_an_unfinished_job_asks_again_by_itself_and_a_finished_one_does_not(copy):
    uuid = uuid_of(copy, DONE, "relax")
    assert 'hx-trigger="every' not in page(copy, uuid)
    change(copy, ("update jobs set state = 'waiting' where uuid = ?", (uuid,)))
    html = page(copy, uuid)
    assert html.count('hx-trigger="every') == 2  # its facts, and its log
    assert "ready, but nobody runs this campaign" in html


# Steps.


def test_steps_of_an_optimizer_are_those_of_its_last_attempt(tmp_path):
    log = tmp_path / "job.log"
    log.write_text(OPTIMIZER)
    part = read_optimizer_log(log)
    assert part.steps.tolist() == [0, 1, 2]
    assert part.energies_eV.tolist() == [-8.5, -8.75, -8.8]
    assert part.forces_eV_per_A.tolist() == [1.2, 0.7, 0.1]
    assert read_optimizer_log(tmp_path / "nothing") is None


def test_a_relaxation_with_the_embedded_potential_is_seen_while_it_runs(copy):
    uuid = uuid_of(copy, FAILED, "relax")
    folder_of(copy, uuid).joinpath("job.log").write_text(OPTIMIZER)
    client = client_of(copy)
    plot = client.get(f"/c/campaign/jobs/{uuid}/steps/energy.json").json()
    n_atoms = job_of(copy, uuid).n_atoms
    assert plot["data"][0]["y"] == pytest.approx([E / n_atoms for E in (-8.5, -8.75, -8.8)])
    assert "After 2 steps" in plot["summary"]
    rows = client.get(f"/c/campaign/jobs/{uuid}/steps/force.data.json").json()
    assert [row["max_force_eV_per_A"] for row in rows] == [1.2, 0.7, 0.1]
    html = page(copy, uuid)
    assert f'data-src="/c/campaign/jobs/{uuid}/steps/energy.json"' in html
    assert "FIRE:    2 12:01:02" in html


def test_a_real_relaxation_prints_its_steps(finished, tmp_path):
    config = tmp_path / "campaign.yaml"
    text = finished.read_text().replace("max_force_eV_per_A: 0.1", "max_force_eV_per_A: 1e-6")
    config.write_text(text.replace("path: ", f"path: {finished.parent}/"))
    config.write_text(config.read_text().replace("relax: {", "relax: {max_steps: 5, "))
    assert halideflow("run", config, "--workers", 1).returncode == 4
    (job,) = listed(config, f"?candidate={DONE}&stage=relax")
    assert job["code"] == "NOT_CONVERGED"
    steps = steps_of(open_results(config), job_of(config, job["uuid"]))
    (part,) = steps.parts
    assert part.steps.tolist() == [0, 1, 2, 3, 4, 5]
    of_atoms = float(job["message"].removeprefix("largest force ").partition(" ")[0])
    assert part.forces_eV_per_A[-1] >= of_atoms  # that of the cell is among them


def test_dynamics_on_its_way_shows_what_its_checkpoints_hold(tmp_path):
    atoms = AseAtomsAdaptor.get_atoms(ARGON, msonable=False)
    atoms.calc = Argon()
    run = NvtRun(
        atoms,
        [Leg(10, 100.0, 30.0), Leg(10, 30.0, 30.0)],
        timestep_fs=2.0,
        thermostat_period_fs=100.0,
        seed=0,
        record_from=20,
        stride=5,
        save_every=10,
        folder=tmp_path,
        on_save=lambda step: None,
    )
    run.advance(60)
    part = read_checkpoints(tmp_path, record_from=20, stride=5)
    whole = run.trajectory()
    assert part.steps.tolist() == list(range(20, 61, 5))
    np.testing.assert_array_equal(part.energies_eV, whole.potential_energies_eV)
    np.testing.assert_array_equal(part.temperatures_K, whole.kinetic_temperatures_K)
    np.testing.assert_array_equal(part.conserved_eV, whole.conserved_energies_eV)


def test_dynamics_that_is_done_shows_what_was_stored(finished):
    uuid = uuid_of(finished, DONE, "dynamics")
    client = client_of(finished)
    rows = client.get(f"/c/campaign/jobs/{uuid}/steps/temperature.data.json").json()
    assert len(rows) == 21  # 0.2 ps, a frame each 10 fs
    document = open_results(finished).outputs([uuid])[uuid]["result"]
    mean_K = np.mean([row["temperature_K"] for row in rows])
    assert mean_K == pytest.approx(document["mean_temperature_K"], rel=1e-9)
    plot = client.get(f"/c/campaign/jobs/{uuid}/steps/temperature.json").json()
    assert f"{mean_K:.0f} K on average" in plot["summary"]
    thermostat = plot["data"][1]
    assert thermostat["x"][-1] == pytest.approx(0.24)
    for ending in ("svg?width_mm=85", "pdf?width_mm=170", "csv"):
        assert client.get(f"/c/campaign/jobs/{uuid}/steps/energy.{ending}").status_code == 200


def test_before_its_first_frame_dynamics_says_how_far_it_is(copy):
    uuid = uuid_of(copy, DONE, "dynamics")
    change(copy, ("update jobs set state = 'waiting' where uuid = ?", (uuid,)))
    np.savez(folder_of(copy, uuid) / "state.npz", step=7)
    plot = client_of(copy).get(f"/c/campaign/jobs/{uuid}/steps/energy.json").json()
    assert plot["data"] == []
    assert plot["summary"].startswith("0.014 of at most 0.24 ps are done. Frames are recorded")


def test_stages_without_steps_have_no_plots(finished):
    uuid = uuid_of(finished, DONE, "stability")
    assert "Over its steps" not in page(finished, uuid)
    page(finished, uuid, "/steps/energy.json", status=404)
    page(finished, uuid_of(finished, DONE, "relax"), "/steps/temperature.json", status=404)


# By the VASP path.


def test_incar_is_held_against_the_set_and_corrections_are_told(rehearsed):
    uuid = uuid_of(rehearsed, "NaCl-nacl-a-1", "relax")
    assert "<strong>relax-1</strong> · Unconverged: ALGO = Normal" in page(rehearsed, uuid)
    html = page(rehearsed, uuid, "/inputs")
    first, second, static = html.split("<h3>")[1:]
    for sheet in (first, second):
        assert sheet.count("<ins>-0.03</ins>") == 1
        assert "engine.vasp.relax.incar of the campaign" in sheet
    assert "<del>Fast</del>" in first
    assert "custodian, see the corrections" in first
    assert "<del>Fast</del>" not in second
    assert "Nothing differs" in static
    assert "Gamma" in first
    assert "Na_pv Cl" in first
    moved = page(rehearsed, uuid_of(rehearsed, "NaCl-nacl-a-1", "dynamics"), "/inputs")
    assert moved.count("Nothing differs") == 3  # heating, equilibration, production


def test_inputs_of_a_run_that_left_no_record_are_read_from_its_files(rehearsed):
    results = open_results(rehearsed)
    job = job_of(rehearsed, uuid_of(rehearsed, "NaCl-nacl-a-1", "relax"))
    files = files_of(results, job)
    sheets = vasp_sheets(results, job, (), files)
    told = {sheet.name: {entry.name: entry.value for entry in sheet.changed} for sheet in sheets}
    assert told["relax-1"] == {"ALGO": "Normal", "EDIFFG": "-0.03"}
    alone = {name: file for name, file in files.items() if not name.endswith("POSCAR.gz")}
    sheet, *_ = vasp_sheets(results, job, (), alone)
    assert "no defaults" in sheet.basis
    assert {entry.default for entry in sheet.inputs} == {"–"}


def test_oszicar_is_read_as_pymatgen_reads_it(rehearsed):
    n_read = 0
    for file in rehearsed.parent.rglob("OSZICAR.gz"):
        part, theirs = read_oszicar(file), Oszicar(file)
        steps = theirs.ionic_steps
        assert part.energies_eV.tolist() == [float(step["E0"]) for step in steps]
        if part.temperatures_K is not None:
            assert part.temperatures_K.tolist() == [float(step["T"]) for step in steps]
            assert part.conserved_eV.tolist() == [float(step["E"]) for step in steps]
        n_read += len(steps)
    assert n_read > 50


def test_what_vasp_could_not_write_leaves_a_gap(tmp_path):
    file = tmp_path / "OSZICAR"
    file.write_text(
        "DAV:   1    -0.1E+02   -0.1E+02  -0.1E+02   24   0.1E+02\n"
        "    1 T=   603. E= -.14351219E+03 F= -.14E+03 E0= -.14351219E+03  EK= 0.1E+01 SP= 0.0\n"
        "    2 T= ***** E= -.14351219E+03 F= -.14E+03 E0= -.14351300E+03  EK= 0.1E+01 SP= 0.0\n"
        "    3 T=   60"
    )
    part = read_oszicar(file)
    assert part.steps.tolist() == [1, 2]
    assert part.energies_eV.tolist() == [-143.51219, -143.513]
    assert part.temperatures_K[0] == 603
    assert np.isnan(part.temperatures_K[1])


def test_pieces_of_dynamics_are_one_run(rehearsed):
    uuid = uuid_of(rehearsed, "NaCl-nacl-a-1", "dynamics")
    steps = steps_of(open_results(rehearsed), job_of(rehearsed, uuid))
    joined = np.concatenate([part.steps for part in steps.parts])
    assert joined.tolist() == list(range(1, 91))
    assert steps.n_done == steps.programme.n_most == 90
    conserved = np.concatenate([part.conserved_eV for part in steps.parts])
    assert np.isnan(conserved[:39]).all()
    assert np.isfinite(conserved[40:]).all()
    html = page(rehearsed, uuid)
    assert "3 parts, each going on where the last one ended" in html


# Logs and files.


def test_only_the_end_of_a_log_is_shown_and_all_of_it_can_be_had(copy, monkeypatch):
    uuid = uuid_of(copy, FAILED, "relax")
    log = folder_of(copy, uuid) / "job.log"
    log.write_text("".join(f"line {n}\n" for n in range(1000)))
    html = page(copy, uuid)
    assert "line 999</pre>" in html
    assert "line 600\n" in html
    assert "line 599\n" not in html
    assert "its last 400 lines" in html
    assert page(copy, uuid, "/log") == log.read_text()
    monkeypatch.setattr(page_of_a_job, "_LOG_BYTES", 100)
    assert "line 999</pre>" in page(copy, uuid)


def test_the_end_of_a_huge_file_is_read_alone(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(50 * 10**9)  # sparse: nobody could read it
        file.seek(0, os.SEEK_END)
        file.write(b"".join(b"line %d\n" % n for n in range(100_000)))
    begun_s = time.monotonic()
    end = end_of(JobFile("huge", path, path.stat().st_size, 0.0), 400)
    assert end.text.splitlines()[-1] == "line 99999"
    assert len(end.text.splitlines()) == 400
    assert time.monotonic() - begun_s < 2


def test_a_file_that_grows_is_handed_out_as_it_was(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100_000)
    given = chunks(JobFile("log", path, 100_000, 0.0))
    first = next(given)
    with path.open("ab") as file:
        file.write(b"y" * 50_000)
    assert first + b"".join(given) == b"x" * 100_000


def test_files_of_a_job_are_listed_and_handed_out(rehearsed):
    uuid = uuid_of(rehearsed, "NaCl-nacl-a-1", "relax")
    html = page(rehearsed, uuid)
    name = f"{KEPT_FILES}/relax-1/OSZICAR.gz"
    assert f">{name}</a>" in html
    answer = client_of(rehearsed).get(f"/c/campaign/jobs/{uuid}/files/{name}")
    assert answer.content == (folder_of(rehearsed, uuid) / name).read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="OSZICAR.gz"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "E0=" in page(rehearsed, uuid, f"/ends/{name}")


def test_potcars_are_not_handed_out(rehearsed):
    uuid = uuid_of(rehearsed, "NaCl-nacl-a-1", "relax")
    assert (folder_of(rehearsed, uuid) / KEPT_FILES / "relax-1" / "POTCAR.gz").exists()
    page(rehearsed, uuid, f"/files/{KEPT_FILES}/relax-1/POTCAR.gz", status=404)
    assert ">files/relax-1/POTCAR" not in page(rehearsed, uuid)
    assert "POTCARs are not handed out" in page(rehearsed, uuid)


@pytest.fixture
def with_secrets(copy):
    """A failed job whose folder has a file, and links to others of this machine."""
    uuid = uuid_of(copy, FAILED, "relax")
    folder = folder_of(copy, uuid)
    (copy.parent / "secret.txt").write_text("secret")
    (folder / "own.txt").write_text("own")
    (folder / "link.txt").symlink_to(copy.parent / "secret.txt")
    (folder / "etc").symlink_to("/etc")
    (folder / "inside.txt").symlink_to(folder / "own.txt")
    (folder / "POTCAR.txt").write_text("licensed")
    (folder / "other-name.txt").symlink_to(folder / "POTCAR.txt")
    os.mkfifo(folder / "pipe")
    return copy, uuid


@pytest.mark.parametrize(
    "name",
    [
        "../../../secret.txt",
        "%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "..%2f..%2f..%2fsecret.txt",
        "..%5c..%5csecret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "etc/passwd",
        "link.txt",
        "pipe",
        "POTCAR.txt",
        "other-name.txt",
        ".",
        "",
        "own.txt/",
        "own.txt%00",
        "./own.txt",
    ],
)
@pytest.mark.parametrize("kind", ["files", "ends"])
def test_nothing_outside_of_a_job_is_handed_out(with_secrets, kind, name):
    config, uuid = with_secrets
    app = client_of(config).app
    status, body = asked_verbatim(app, f"/c/campaign/jobs/{uuid}/{kind}/{name}")
    assert status == 404
    assert b"secret" not in body.partition(b"<main")[2].replace(b"secret.txt", b"")
    assert b"root:" not in body


def test_links_inside_of_it_are_files_of_it(with_secrets):
    config, uuid = with_secrets
    app = client_of(config).app
    for name in ("own.txt", "inside.txt"):
        assert asked_verbatim(app, f"/c/campaign/jobs/{uuid}/files/{name}") == (200, b"own")


def test_names_that_are_no_text_and_links_in_circles_are_left_out(copy):
    uuid = uuid_of(copy, FAILED, "relax")
    folder = folder_of(copy, uuid)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "own.txt").write_text("own")
    (folder / os.fsdecode(b"\xff.txt")).touch()
    (folder / os.fsdecode(b"\xfe")).mkdir()
    (folder / os.fsdecode(b"\xfe") / "inside.txt").touch()
    html = page(copy, uuid)
    assert "own.txt" in html
    assert "inside.txt" not in html
    assert list(files_of(open_results(copy), job_of(copy, uuid))) == ["job.log", "own.txt"]


def test_a_log_that_leads_elsewhere_is_not_read(with_secrets):
    config, uuid = with_secrets
    log = folder_of(config, uuid) / "job.log"
    log.unlink()
    for elsewhere in (config.parent / "secret.txt", log.with_name("POTCAR.txt")):
        log.symlink_to(elsewhere)
        for rest in ("", "/log"):
            html = page(config, uuid, rest)
            assert "secret</pre>" not in html
            assert html not in ("secret", "licensed")
            assert "licensed</pre>" not in html
        log.unlink()
    log.symlink_to("own.txt")
    assert page(config, uuid, "/log") == "own"


def test_what_a_scheduler_wrote_is_the_log_where_there_is_no_other(in_queue):
    config, uuid, folder = in_queue
    (folder_of(config, uuid) / "job.log").unlink()
    (folder / "queue.out").write_text("slurmstepd: gone\n")
    assert page(config, uuid, "/log") == "slurmstepd: gone\n"
    (config.parent / "secret.txt").write_text("secret")
    (folder / "queue.err").symlink_to(config.parent / "secret.txt")
    assert page(config, uuid, "/log") == "slurmstepd: gone\n"
    assert "slurmstepd: gone</pre>" in page(config, uuid)


def test_a_log_on_the_file_system_of_the_cluster_is_no_link_either(in_queue, tmp_path):
    config, uuid, _ = in_queue
    (folder_of(config, uuid) / "job.log").unlink()
    change(config, ("insert into notes values ('work_root', ?, 0)", (str(tmp_path / "shared"),)))
    folder = tmp_path / "shared" / uuid
    folder.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "job.log").symlink_to(tmp_path / "secret.txt")
    assert page(config, uuid, "/log") != "secret"
    (folder / "job.log").unlink()
    (folder / "job.log").write_text("step 1\n")
    assert page(config, uuid, "/log") == "step 1\n"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_large_log_is_not_held_in_memory(copy, method):
    uuid = uuid_of(copy, FAILED, "relax")
    with (folder_of(copy, uuid) / "job.log").open("wb") as log:
        log.truncate(64 * 10**6)
    app = client_of(copy).app
    asked_verbatim(app, "/c/campaign/jobs")  # what stays
    tracemalloc.start()
    try:
        answer = asked_verbatim(app, f"/c/campaign/jobs/{uuid}/log", method, keep=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer == (200, b"")
    assert peak < 20 * 10**6


@pytest.mark.parametrize("content", [b"no gzip", b"", b"\xff" * 40])
def test_what_is_no_gzip_is_told(tmp_path, content):
    path = tmp_path / "OSZICAR.gz"
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" if content != b"no gzip" else b""
    path.write_bytes(header + content)
    end = end_of(JobFile("OSZICAR.gz", path, path.stat().st_size, 0.0), 400)
    assert end.text == ""
    assert end.note.startswith("cannot be read: ")


def test_a_command_can_be_copied_whatever_the_path(finished, tmp_path):
    folder = tmp_path / "a; b"
    shutil.copytree(finished.parent, folder)
    config = folder / "campaign.yaml"
    command = f"halideflow run {shlex.quote(str(config))}"
    shown = page(config, uuid_of(config, FAILED, "relax"))
    assert f"<code>{command.replace(chr(39), '&#39;')}</code>" in shown


def asked_verbatim(app, address, method="GET", keep=True):
    """As a client asks that does not tidy up addresses; the body is empty unless it is kept."""
    sent = []
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(address),
        "raw_path": address.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "http_version": "1.1",
    }

    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        return next(asked, None) or await asyncio.Event().wait()

    async def send(message):
        sent.append(message if keep else {**message, "body": b""})

    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body


@pytest.fixture
def in_queue(copy, tmp_path):
    """A failed job that was part of one in a queue, and the folder of that."""
    uuid = uuid_of(copy, FAILED, "relax")
    change(
        copy,
        (
            "insert into queue_jobs (uuid, stage, worker, n_cores, core_hours_promised, sent_at, "
            "queue_id, run_dir, state) values ('q', 'relax', 'big', 4, 2, 1, '4711', ?, 'ended')",
            (str(tmp_path / "run"),),
        ),
        ("insert into queue_job_parts values ('q', ?, 1)", (uuid,)),
    )
    (tmp_path / "run").mkdir()
    return copy, uuid, tmp_path / "run"


def test_a_file_of_the_queue_is_shown_beside_its_own(in_queue):
    config, uuid, folder = in_queue
    (folder / "queue.err").write_text(f"srun: {EVIL}\n")
    (folder / "secret.sh").write_text("secret")
    html = page(config, uuid)
    assert "queue/queue.err" in html
    assert "4711" in html
    assert "secret.sh" not in html
    end = page(config, uuid, "/ends/queue/queue.err")
    assert "srun: &lt;script&gt;" in end
    page(config, uuid, "/files/queue/secret.sh", status=404)


def test_hostile_names_and_logs_stay_text(copy):
    uuid = uuid_of(copy, FAILED, "relax")
    name = "a'\"><img src=x onerror=alert(1)>"
    folder = folder_of(copy, uuid)
    (folder / name).write_text(EVIL)
    (folder / "job.log").write_text(f"</pre>{EVIL}\n")
    change(
        copy,
        (
            "update jobs set code = ?, message = ?, log_tail = ?, candidate = ? where uuid = ?",
            (EVIL, EVIL, f"corrected and tried again: {EVIL}", EVIL, uuid),
        ),
    )
    html = page(copy, uuid)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "</pre><script" not in html
    assert "Corrected on the way" in html
    client = client_of(copy)
    answer = client.get(f"/c/campaign/jobs/{uuid}/files/{name}")
    assert answer.text == EVIL
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "<img" not in client.get(f"/c/campaign/jobs/{uuid}/ends/{name}").text


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_log_that_grows_is_followed_and_never_moves_what_is_read(copy):
    uuid = uuid_of(copy, FAILED, "relax")
    change(copy, ("update jobs set state = 'waiting' where uuid = ?", (uuid,)))
    log = folder_of(copy, uuid) / "job.log"
    log.write_text("".join(f"line {n}\n" for n in range(300)))

    def print_more(numbers):
        with log.open("a") as file:
            file.write("".join(f"line {n}\n" for n in numbers))

    with dashboard(copy) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}c/campaign/jobs/{uuid}")
        shown = page.locator("#log pre")

        def place():
            return shown.evaluate("e => [e.scrollTop, e.scrollHeight - e.clientHeight]")

        assert place()[0] == pytest.approx(place()[1], abs=2)  # it begins at the end
        print_more(range(300, 320))
        page.get_by_text("line 319").wait_for()
        assert place()[0] == pytest.approx(place()[1], abs=2)
        shown.evaluate("e => { e.scrollTop = 100; }")
        print_more(range(320, 340))
        page.get_by_text("line 339").wait_for(state="attached")
        assert place()[0] == 100
        print_more(range(340, 600))  # the first lines would go
        page.wait_for_timeout(7000)
        assert place()[0] == 100
        assert shown.inner_text().startswith("line 0\n")
        shown.evaluate("e => { e.scrollTop = e.scrollHeight; }")
        page.get_by_text("line 599").wait_for()
        assert place()[0] == pytest.approx(place()[1], abs=2)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_what_is_folded_up_is_fetched_when_it_is_opened(rehearsed):
    uuid = uuid_of(rehearsed, "NaCl-nacl-a-1", "relax")
    with dashboard(rehearsed) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}c/campaign/jobs/{uuid}")
        assert page.get_by_text("engine.vasp.relax.incar of the campaign").count() == 0
        page.get_by_text("INCAR, KPOINTS and POTCAR of each run").click()
        page.get_by_text("engine.vasp.relax.incar of the campaign").first.wait_for(timeout=60_000)
        page.locator("summary", has_text="OSZICAR").first.click()
        page.locator(".file-end pre", has_text="E0=").first.wait_for()
        assert page.locator("details[open] .file-end").count() == 1
