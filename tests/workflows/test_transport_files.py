"""What `export --format transport` writes."""

from __future__ import annotations

import csv

import pytest
from arrhenius_data import TEMPERATURES_K, bound, law, value

from screening.documents import Failure
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import Arrhenius, RunEnd, Transport, TransportDocument
from workflows.transport_files import write_transports


def test_document_table_and_figure_of_each_candidate(tmp_path):
    entries = (bound(450.0), *(value(t, law(t)) for t in TEMPERATURES_K))
    moved = Transport(
        diffusivities=entries,
        ends={"600": RunEnd(outcome="converged", message="D is known to 10%")},
        arrhenius=fit_arrhenius(entries, n_mobile=4, volume_A3=1000.0),
    )
    gone = Failure(code="RUN_EXPLODED", message="gone")
    lost = Transport(diffusivities=(), failures={"900": gone}, arrhenius=Arrhenius(reason="none"))
    documents = {
        "moved": TransportDocument(state="done", result=moved),
        "lost": TransportDocument(state="done", result=lost),
        "failed": TransportDocument(state="failed", failure=gone),
    }
    paths = write_transports(documents, tmp_path / "transport")
    assert {path.name for path in paths} == {
        *(f"moved.{ending}" for ending in ("json", "csv", "pdf", "svg", "png")),
        "lost.json",
        "lost.csv",
    }
    assert all(path.exists() for path in paths)
    written = (tmp_path / "transport" / "moved.json").read_text()
    assert Transport.model_validate_json(written) == moved
    with (tmp_path / "transport" / "moved.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["temperature_K"]) for row in rows] == [450.0, *TEMPERATURES_K]
    assert rows[0]["D_cm2_s"] == ""
    assert float(rows[0]["upper_bound_cm2_s"]) == pytest.approx(1e-7, rel=1e-12, abs=0)
    assert float(rows[1]["D_68_high_cm2_s"]) > float(rows[1]["D_cm2_s"]) > 0
    assert rows[1]["outcome"] == "converged"
    assert rows[0]["reason"] == "0.0 hops"
