"""What is cited is what was used, and what is printed is BibTeX."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from campaigns import halideflow
from pybtex.database import parse_string

from screening.documents import EnergyConvention, Origin
from screening.prototypes.library import load_prototype, prototype_names
from screening.stability.conventions import VASP
from workflows.citations import citations, to_bibtex
from workflows.config import EngineSettings, PublishedWindow
from workflows.ingredients import Dynamics, KnownSnapshot, Vasp


def keys(used) -> set[str]:
    return {citation.key for citation in citations(used)}


def origin(host, source) -> Origin:
    return Origin(
        host=host,
        source=source,
        parent_formula="KTaCl6",
        ordering=1,
        n_orderings=1,
        degeneracy=1,
        n_configurations=1,
    )


def with_engine(used, name, **changes):
    config = used.config.model_copy(update={"engine": EngineSettings(name=name)})
    return replace(used, config=config, **changes)


def test_of_the_embedded_potential(used):
    found = keys(used)
    assert {"halideflow", "jobflow", "pymatgen", "ase", "atomate2", "maggma"} <= found
    assert {"chgnet", "mp2020", "fire", "martyna1992", "he2018"} <= found
    assert {"zhu2015", "richards2016", "ong2008", "reference-phases"} <= found
    assert not found & {"vasp1996a", "custodian", "pbe", "materials-project", "chgnet-r2scan"}
    assert not found & {"jobflow-remote", "zhu2016", "melt-quench", "shannon1976"}


def test_the_weights_and_versions_that_were_used_are_named(used):
    cited = {citation.key: citation for citation in citations(used)}
    (convention,) = used.conventions
    assert convention.weights_sha256 in cited["chgnet"].why
    assert used.versions["chgnet"] in cited["chgnet"].note
    assert cited["halideflow"].fields["version"] == used.versions["halideflow"]
    assert used.snapshot.sha256 in cited["reference-phases"].note


def test_versions_of_earlier_runs_are_named_too(used):
    earlier = replace(used.runs[0], versions={**used.runs[0].versions, "ase": "3.0"})
    cited = {c.key: c for c in citations(replace(used, runs=(earlier, *used.runs)))}
    assert cited["ase"].note == f"version 3.0 and {used.runs[0].versions['ase']} was used"


def test_of_vasp(used):
    vasp = Vasp(versions=("6.4.2",), potcars={"PAW_PBE Cl": "ab"}, with_hubbard_u=True)
    found = keys(with_engine(used, "vasp", conventions=(VASP,), vasp=vasp))
    assert {"vasp1996a", "vasp1996b", "paw1994", "paw1999", "pbe", "dudarev1998"} <= found
    assert {"custodian", "materials-project", "mp2020", "nose1984", "hoover1985"} <= found
    assert not found & {"chgnet", "ase", "fire", "martyna1992"}


def test_no_hubbard_u_that_was_not_used(used):
    engine = with_engine(used, "vasp", conventions=(VASP,), vasp=Vasp(versions=("6.4.2",)))
    assert "dudarev1998" not in keys(engine)


def test_a_rehearsal_has_not_used_vasp(used):
    found = keys(with_engine(used, "rehearsal"))
    assert "chgnet" in found
    assert "custodian" in found
    assert not found & {"vasp1996a", "paw1999", "pbe", "martyna1992"}


def test_weights_of_another_functional(used):
    r2scan = EnergyConvention(
        code="chgnet", functional="r2SCAN", corrections="none", potential="chgnet r2scan"
    )
    found = keys(replace(used, conventions=(r2scan,), enthalpy_sources=()))
    assert {"chgnet", "chgnet-r2scan", "r2scan"} <= found
    assert "mp2020" not in found


def test_what_was_not_got_to_is_not_cited(used):
    found = keys(
        replace(used, n_relaxed=0, n_on_hull=0, conventions=(), dynamics=Dynamics())
    )  # fmt: skip
    assert found == {"halideflow", "jobflow", "maggma", "pymatgen", "pymatgen2026", "moyopy"}


def test_what_was_asked_for_besides(used):
    known = KnownSnapshot("The Materials Project, 2026", "2026-01-01", 3)
    found = keys(
        replace(
            used,
            on_cluster=True,
            n_interfaces=1,
            n_glasses=1,
            snapshot=replace(used.snapshot, known=known, is_shipped=False),
        )
    )
    assert {"jobflow-remote", "zhu2016", "melt-quench", "pinsky1998", "materials-project"} <= found


def test_hosts_are_cited_by_what_the_library_says(used):
    hosts = (
        origin("k2ptcl6", "cubic KTaCl6, doi:10.1016/j.ensm.2024.103618"),
        origin("elpasolite", "Rb2NaAlF6, Yakubovich, Kristallografiya 58, 400 (2013)"),
        origin("li2mgcl4", "Li2MgCl4, Partik (1994), doi:10.1002/zaac.19946200505"),
        origin("mine.cif", "mine.cif"),
    )
    cited = {c.key: c for c in citations(replace(used, origins=hosts))}
    assert cited["kim2024"].hosts == ("k2ptcl6",)
    assert "Kristallografiya" in cited["host-elpasolite"].note
    assert cited["host-li2mgcl4"].doi == "10.1002/zaac.19946200505"
    assert not any("mine.cif" in citation.why for citation in cited.values())


def test_a_source_of_several_hosts_is_one_entry(used):
    source = "KTaCl6, doi:10.1016/j.ensm.2024.103618"
    both = replace(used, origins=(origin("cubic", source), origin("monoclinic", source)))
    (kim,) = (c for c in citations(both) if c.key == "kim2024")
    assert kim.hosts == ("cubic", "monoclinic")
    assert kim.why == "the host cubic; the host monoclinic"


def test_sources_that_differ_have_keys_that_differ(used):
    both = replace(used, origins=(origin("a b", "first"), origin("a-b", "second")))
    cited = [c for c in citations(both) if c.key.startswith("host-")]
    assert [(c.key, c.note) for c in cited] == [("host-a-b", "first"), ("host-a-b-2", "second")]


def test_every_entry_is_bibtex(used):
    """All entries at once, with every prototype's source, and a name made to break the file."""
    library = tuple(origin(name, load_prototype(name).source) for name in prototype_names())
    bad = origin("evil}@article{x", "a source with { and 50 % of \\ $, #1_2 & @misc{y,")
    windows = (PublishedWindow(formula="KCl", reduction_limit_V=1, source="Doe, doi:10.1000/x"),)
    config = used.config.model_copy(update={"published": windows})
    everything = replace(
        used,
        config=config,
        origins=(*library, bad),
        n_interfaces=1,
        n_glasses=1,
        on_cluster=True,
        enthalpy_sources=("nbs", "janaf", "kubaschewski", "hurtgen1980"),
    )
    dft = with_engine(everything, "vasp", conventions=(VASP,), vasp=Vasp(("6",), {}, True))
    for which in (everything, dft):
        listed = citations(which)
        read = parse_string(to_bibtex(listed), "bibtex")
        assert list(read.entries) == [citation.key for citation in listed]
        for citation in listed:
            entry = read.entries[citation.key]
            assert len(entry.persons.get("author", [])) == len(citation.authors)
            assert entry.fields.get("doi") == citation.doi
            assert citation.why


def test_dois_are_dois_and_no_two_entries_have_the_same(used):
    listed = citations(replace(used, n_glasses=1, n_interfaces=1))
    dois = [citation.doi.lower() for citation in listed if citation.doi]
    assert len(dois) == len(set(dois))
    assert all(doi.startswith("10.") and " " not in doi for doi in dois)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("he2018", "X. He, Y. Zhu, A. Epstein, Y. Mo. Statistical variances of diffusional "
         "properties from ab initio molecular dynamics simulations. npj Computational Materials 4, "
         "18 (2018)"),
        ("mp2020", "A. Wang, R. Kingsbury, M. McDermott, M. Horton, A. Jain, S. P. Ong, S. "
         "Dwaraknath, K. A. Persson. A framework for quantifying uncertainty in DFT energy "
         "corrections. Scientific Reports 11, 15496 (2021)"),
    ],
)  # fmt: skip
def test_a_reference_as_people_read_it(used, key, text):
    (found,) = (c for c in citations(used) if c.key == key)
    assert found.text() == text


def test_the_command(config):
    printed = halideflow("cite", config)
    assert printed.returncode == 0, printed.stderr
    read = parse_string(printed.stdout, "bibtex")
    listed = json.loads(halideflow("cite", config, "--json").stdout)
    assert [entry["key"] for entry in listed] == list(read.entries)
    assert all(entry["why"] and entry["bibtex"] for entry in listed)
