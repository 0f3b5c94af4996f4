"""A candidate's page: everything that is known of it, and why the rest is not."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from campaigns import SMALL, halideflow, write_campaign
from dashboards import DONE, FAILED, REJECTED, client_of
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser

from screening.amorphous.documents import Amorphous, AmorphousDocument, DiffusivityOrder, Phase
from screening.disorder.documents import Coordination, DisorderReport, SymmetryMeasure
from screening.documents import Failure
from workflows.cli.results import open_results
from workflows.read_model import CampaignResults

PLACE = "/c/campaign/candidates"
EVIL = "<script>alert(1)</script>"
WITHOUT_DYNAMICS = """
stability: {electrodes: [K, NaCrO2]}
published:
  - formula: KCl
    reduction_limit_V: 0.1
    reduction_tolerance_V: 0.5
    oxidation_limit_V: 1.0
    oxidation_tolerance_V: 0.1
    oxidation_products: [Cl2]
    source: "Somebody, J. Salts 1, 2 (1999)"
    note: far too low
"""


@pytest.fixture(scope="session")
def without_dynamics(tmp_path_factory):
    """Config of a finished campaign without dynamics, with electrodes and published windows."""
    config = write_campaign(
        tmp_path_factory.mktemp("without"), {"kcl-a": SMALL["kcl-a"]}, temperatures=()
    )
    config.write_text(config.read_text() + WITHOUT_DYNAMICS)
    run = halideflow("run", config)
    assert run.returncode == 0, run.stderr
    return config


@pytest.fixture(scope="session")
def page(finished):
    """The page of the candidate that went through."""
    return client_of(finished).get(f"{PLACE}/{DONE}").text


@pytest.fixture
def changed(monkeypatch):
    """Show candidates with something else in them."""

    def show(**parts):
        whole = CampaignResults.candidate

        def candidate(self, identifier, rows=()):
            return replace(whole(self, identifier, rows), **parts)

        monkeypatch.setattr(CampaignResults, "candidate", candidate)

    return show


def table(answer):
    return list(csv.DictReader(io.StringIO(answer.text)))


def known(config, identifier=DONE):
    return open_results(config).candidate(identifier)


def test_the_head_says_what_became_of_it_with_the_key_numbers(finished, page):
    row = known(finished).row
    assert f"{DONE} is done, rank 1; no gate rejected it; Pareto front 1" in page
    assert f'<span class="value">{1000 * row.e_hull_eV_per_atom:.1f}</span>' in page
    assert f'<span class="value">{row.window_V:.2f}</span>' in page
    for caveat in row.caveats:
        assert f'<p class="notice">{caveat.replace("<", "&lt;")}' in page


@pytest.mark.parametrize(
    "title",
    ["Structure", "Where it came from", "Stability", "Interfaces", "Transport", "Jobs", "Files"],
)
def test_sections_are_there(page, title):
    assert re.search(rf'<h2 id="[a-z]+-title">{title}</h2>', page)


def test_where_it_came_from(page):
    assert "kcl-a.cif" in page
    assert "1 of 1 distinct ones" in page


def test_a_doi_of_the_source_is_a_link(finished, changed):
    info = known(finished).info
    origin = info.origin.model_copy(
        update={"source": "cubic KTaCl6, doi:10.1016/j.ensm.2024.103618.", "notes": ("a note",)}
    )
    other = origin.model_copy(update={"host": "elpasolite", "source": "ICSD 1"})
    changed(info=info.model_copy(update={"origin": origin, "other_origins": (other,)}))
    text = client_of(finished).get(f"{PLACE}/{DONE}").text
    assert 'href="https://doi.org/10.1016/j.ensm.2024.103618"' in text
    assert "a note" in text
    assert "Also made from elpasolite" in text


def test_stability_says_what_forms_where(finished, page):
    stability = known(finished).stability.result
    assert f"formation energy −{-stability.formation_energy_eV_per_atom:.4f} eV/atom" in page
    assert "It is formed from " in page or "It decomposes into " in page
    assert "<strong>(ranked)</strong>" in page
    assert "its own window" in page
    assert "window of the equilibrium" in page
    for step in stability.profile.steps:
        assert f"{step.potential_V:.3f}" in page
    for guard in stability.guards:
        assert guard.name in page
    assert f'data-src="{PLACE}/{DONE}/voltage.json" data-live' in page


def test_runs_come_with_how_they_ended(finished, page):
    transport = known(finished).transport.result
    for diffusivity in transport.diffusivities:
        assert f'data-src="{PLACE}/{DONE}/msd_{diffusivity.temperature_K:g}K.json"' in page
        assert diffusivity.reason.split(";")[0] in page.replace("&lt;", "<").replace("&#39;", "'")
    for end in transport.ends.values():
        assert f"<strong>{end.outcome.replace('_', ' ')}</strong>" in page
    assert "σ = n z² e² D" in page
    assert f'data-src="{PLACE}/{DONE}/arrhenius.json"' in page


def test_jobs_and_files_are_listed(finished, page):
    for job in known(finished).jobs:
        assert f'href="/c/campaign/jobs/{job.uuid}"' in page
    for file in (finished.parent / "campaign" / "arrays").iterdir():
        assert f'href="{PLACE}/{DONE}/arrays/{file.name}"' in page


def test_a_rejected_candidate_says_what_was_not_computed_and_why(finished):
    text = client_of(finished).get(f"{PLACE}/{REJECTED}").text
    assert f"{REJECTED} was rejected by max_e_hull_eV_per_atom: " in text
    said = "Not computed: it was rejected before, by the gate E above hull ≤ 0.005 eV/atom."
    assert said in text
    assert "No trajectories are stored." in text
    assert "/arrhenius" not in text
    assert client_of(finished).get(f"{PLACE}/{REJECTED}/arrhenius.json").status_code == 404


def test_a_failed_candidate_shows_what_to_do_and_what_it_was_made_of(finished):
    client = client_of(finished)
    text = client.get(f"{PLACE}/{FAILED}").text
    assert f"{FAILED} failed in relax with " in text
    assert "Then: <code>halideflow " in text
    assert "As it was made." in text
    assert "Not computed: relax failed before with " in text or "Not there: " in text
    made = client.get(f"{PLACE}/{FAILED}/structure.cif")
    assert f"{FAILED}_as_made.cif" in made.headers["content-disposition"]
    structure = CifParser.from_str(made.text).parse_structures(primitive=False)[0]
    assert len(structure) == 9
    scene = client.get(f"{PLACE}/{FAILED}/scene.json").json()
    assert sum(entry["number"] for entry in scene["legend"]) == 9


def test_what_was_not_asked_for_says_so(without_dynamics):
    text = client_of(without_dynamics).get(f"{PLACE}/{DONE}").text
    assert "Not asked for: the campaign&#39;s config says so." in text
    assert "Glasses" not in text
    assert "rank 1" in text


def test_interfaces_and_published_windows(without_dynamics):
    client = client_of(without_dynamics)
    text = client.get(f"{PLACE}/{DONE}").text
    interfaces = known(without_dynamics).stability.result.interfaces
    assert interfaces
    rows = table(client.get(f"{PLACE}/{DONE}/interfaces.csv"))
    assert len(rows) == len(interfaces)
    for interface, entry in zip(interfaces, rows, strict=True):
        assert float(entry["worst_energy_eV_per_atom"]) == interface.worst_energy_eV_per_atom
        assert entry["partner"] == interface.partner
    assert "NaCrO<sub>2</sub>" in text
    assert "closed" in text
    assert "Somebody, J. Salts 1, 2 (1999): far too low" in text
    assert "differs" in text
    verdicts = [entry["verdict"] for entry in table(client.get(f"{PLACE}/{DONE}/published.csv"))]
    assert verdicts == ["agrees", "differs"]


def test_what_is_unfinished_says_what_it_waits_for(copy):
    database = copy.parent / "campaign" / "results.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "update jobs set state = 'waiting' where stage in ('stability', 'transport', "
            "'dynamics', 'rank')"
        )
        connection.execute(
            "delete from documents where \"metadata.stage\" in ('stability', 'transport')"
        )
    text = client_of(copy).get(f"{PLACE}/{DONE}").text
    assert f"{DONE} is waiting: stability" in text
    assert "Not there yet: stability is waiting, ready, but nobody runs this campaign." in text
    assert "Not there yet: transport is waiting, waits for " in text
    assert "As it was made" not in text
    rankings = client_of(copy).get("/c/campaign/rankings").text
    assert "preliminary" in rankings


def test_an_unknown_candidate_is_answered_with_those_like_it(finished):
    client = client_of(finished)
    answer = client.get(f"{PLACE}/KCl-kcl-a-2")
    assert answer.status_code == 404
    assert f'href="{PLACE}/{DONE}"' in answer.text
    for odd in ("a b+c (1).2", EVIL.replace("/", ""), "K%25"):
        answer = client.get(f"{PLACE}/{odd}")
        assert answer.status_code == 404
        assert "<script>alert" not in answer.text
    for file in ("structure.cif", "scene.json", "steps.csv", "motion", "arrays/x.npz"):
        assert client.get(f"{PLACE}/nothing/{file}").status_code == 404


def test_what_was_left_out_says_why(finished, monkeypatch):
    monkeypatch.setattr(CampaignResults, "left_out", lambda _: {"KX": f"{EVIL} is no element"})
    text = client_of(finished).get(f"{PLACE}/KX").text
    assert "KX was left out: &lt;script&gt;" in text


def test_whatever_it_holds_is_shown_as_text(finished, changed):
    view = known(finished)
    origin = view.info.origin.model_copy(
        update={"host": EVIL, "source": f"10.1000/{EVIL}", "notes": (EVIL,)}
    )
    changed(
        info=view.info.model_copy(update={"origin": origin}),
        row=view.row.model_copy(
            update={"caveats": (EVIL,), "failure": Failure(code=EVIL, message=EVIL, log_tail=EVIL)}
        ),
        jobs=tuple(replace(job, code=EVIL, message=EVIL, why=EVIL) for job in view.jobs),
    )
    text = client_of(finished).get(f"{PLACE}/{DONE}").text
    assert EVIL not in text
    assert text.count("&lt;script&gt;") > 5


def test_the_structure_can_be_taken_away(finished):
    client = client_of(finished)
    relaxed = known(finished).relax.result.structure
    cif = client.get(f"{PLACE}/{DONE}/structure.cif")
    assert cif.headers["content-disposition"] == f'attachment; filename="{DONE}.cif"'
    taken = CifParser.from_str(cif.text).parse_structures(primitive=False)[0]
    poscar = Structure.from_str(client.get(f"{PLACE}/{DONE}/structure.vasp").text, fmt="poscar")
    for structure in (taken, poscar):
        assert structure.composition == relaxed.composition
        np.testing.assert_allclose(structure.volume, relaxed.volume, rtol=1e-5)
    atoms = table(client.get(f"{PLACE}/{DONE}/atoms.csv"))
    assert [atom["atom"] for atom in atoms] == ["K1", "Cl1"]
    np.testing.assert_allclose(
        [[float(atom[axis]) for axis in "xyz"] for atom in atoms],
        relaxed.frac_coords % 1,
        atol=1e-5,
    )
    scene = client.get(f"{PLACE}/{DONE}/scene.json").json()
    assert scene["summary"]


@pytest.mark.parametrize("name", ["steps", "runs", "conductivity", "jobs", "atoms"])
def test_tables_are_the_same_as_csv_and_json(finished, name):
    client = client_of(finished)
    records = client.get(f"{PLACE}/{DONE}/{name}.json").json()
    rows = table(client.get(f"{PLACE}/{DONE}/{name}.csv"))
    assert len(records) == len(rows) > 0
    assert list(records[0]) == list(rows[0])


def test_plots_are_there_in_all_forms(finished):
    client = client_of(finished)
    for plot in ("voltage", "arrhenius", "msd_300K"):
        drawn = client.get(f"{PLACE}/{DONE}/{plot}.json").json()
        assert drawn["data"]
        assert drawn["summary"]
        assert client.get(f"{PLACE}/{DONE}/{plot}.data.json").json()
        assert table(client.get(f"{PLACE}/{DONE}/{plot}.csv"))
    figure = client.get(f"{PLACE}/{DONE}/arrhenius.pdf?width_mm=85")
    assert figure.content.startswith(b"%PDF")
    for nothing in ("voltage.xml", "msd_900K.json", "orderings.json", "glasses.csv", "x"):
        assert client.get(f"{PLACE}/{DONE}/{nothing}").status_code == 404


def test_the_migration_landscape_is_fetched_apart(finished, page):
    assert f'hx-get="{PLACE}/{DONE}/motion"' in page
    part = client_of(finished).get(f"{PLACE}/{DONE}/motion").text
    assert "<html" not in part
    assert f'data-src="{PLACE}/{DONE}/landscape.json"' in part or "K: " in part


def test_trajectories_can_be_taken_away_and_nothing_else(copy):
    client = client_of(copy)
    arrays = copy.parent / "campaign" / "arrays"
    one, other = sorted(arrays.iterdir())
    answer = client.get(f"{PLACE}/{DONE}/arrays/{one.name}")
    assert answer.content == one.read_bytes()
    assert set(np.load(io.BytesIO(answer.content)).files)
    assert f'filename="{one.name}"' in answer.headers["content-disposition"]
    (arrays / "unlisted.npz").write_bytes(one.read_bytes())
    for name in (
        "unlisted.npz",
        "..%2Fresults.sqlite",
        "%2e%2e%2fcampaign.yaml",
        "../results.sqlite",
        "%2Fetc%2Fpasswd",
        f"..%2Farrays%2F{one.name}",
        f"{one.name}%00",
    ):
        answer = client.get(f"{PLACE}/{DONE}/arrays/{name}")
        assert answer.status_code == 404, name
        assert "text/html" in answer.headers["content-type"]
    assert client.get(f"{PLACE}/{REJECTED}/arrays/{one.name}").status_code == 404
    other.unlink()
    other.symlink_to(copy)
    assert client.get(f"{PLACE}/{DONE}/arrays/{other.name}").status_code == 404
    assert "(missing)" in client.get(f"{PLACE}/{DONE}").text


def test_glasses_stand_beside_their_crystal(finished, changed):
    view = known(finished)
    transport = view.transport.result
    report = DisorderReport(
        mobile_ion="K",
        n_frames=1,
        n_atoms=8,
        volume_A3=200,
        half_width_A=3,
        r_A=(),
        rdfs=(),
        coordination=(
            Coordination(
                centre="Ta",
                neighbours=("Cl",),
                cutoffs_A=(3.0,),
                mean=5.9,
                numbers=(6,),
                shares=(1.0,),
            ),
        ),
        symmetry=(
            SymmetryMeasure(
                centre="Ta",
                neighbours=("Cl",),
                share_of_six=0.9,
                n_centres=1,
                n_values=1,
                mean=0.5,
                standard_deviation=0.1,
                median=0.5,
                quantiles_05_95=(0.4, 0.6),
                bin_width=0.1,
                density=(),
            ),
        ),
    )
    phases = tuple(
        Phase(
            name=name,
            melt_temperature_K=kelvin,
            n_atoms=8,
            transport=transport,
            disorder=report,
            potential_energy_eV_per_atom=energy_eV,
        )
        for name, kelvin, energy_eV in (
            ("crystal", None, -3.0),
            ("quenched from 1200 K", 1200.0, -2.95),
        )
    )
    compared = Amorphous(
        phases=phases,
        disorder_temperature_K=300,
        orders=(
            DiffusivityOrder(
                temperature_K=300, names=tuple(phase.name for phase in phases), apart=(False,)
            ),
        ),
        failures={"quenched from 2000 K": Failure(code="RUN_EXPLODED", message=EVIL)},
        caveats=("no melt",),
    )
    changed(amorphous=AmorphousDocument(state="done", result=compared))
    client = client_of(finished)
    text = client.get(f"{PLACE}/{DONE}").text
    assert "crystal ≈ quenched from 1200 K" in text
    assert "Ta 0.50 (90 % MX₆)" in text
    assert '<td class="num">50</td>' in text
    assert "RUN_EXPLODED: &lt;script&gt;" in text
    rows = table(client.get(f"{PLACE}/{DONE}/glasses.csv"))
    assert [entry["phase"] for entry in rows] == [name for name in ("crystal", phases[1].name)
                                                  for _ in transport.diffusivities]  # fmt: skip


def test_a_campaign_that_goes_on_is_looked_at_more_often(copy):
    folder = open_results(copy).folder
    assert 'hx-trigger="every 30s"' in client_of(copy).get(f"{PLACE}/{DONE}").text
    with folder.locked():
        assert 'hx-trigger="every 5s"' in client_of(copy).get(f"{PLACE}/{DONE}").text
