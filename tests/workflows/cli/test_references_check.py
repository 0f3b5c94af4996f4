import json

import pytest
import typer
from typer.testing import CliRunner

from screening.errors import InvalidInput
from screening.stability.references import ReferencePhases
from workflows.cli.references_check import check

app = typer.Typer()
app.command()(check)


def run(*arguments: str, columns: int = 120) -> str:
    result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_has_every_halide_with_its_source_and_its_limit():
    document = json.loads(run("chgnet-0.3.0", "--json"))
    rows = {row["formula"]: row for row in document["halides"]}
    assert len(rows) >= 25
    nacl = rows["NaCl"]
    assert nacl["measured_kJ_mol"] == -411.15
    assert nacl["source"] in document["sources"]
    assert nacl["error_eV_per_formula"] == pytest.approx(2 * nacl["error_eV_per_atom"], abs=1e-9)
    assert nacl["limit"]["limit"] == "oxidation"
    assert nacl["limit"]["measured_V"] == pytest.approx(4.261, abs=1e-3)
    assert nacl["limit"]["error_V"] == pytest.approx(-nacl["error_eV_per_formula"], abs=1e-6)
    assert rows["TaCl5"]["limit"]["limit"] == "reduction"
    assert document["references_sha256"] == ReferencePhases.load("chgnet-0.3.0").sha256
    assert document["error_model"]["n_halides"] <= len(rows)


def test_summaries_are_the_means_of_their_rows():
    document = json.loads(run("chgnet-0.3.0", "--json"))
    for summary in document["summary"]:
        errors = [
            row["error_eV_per_atom"]
            for row in document["halides"]
            if summary["kind"] in ("all", row["kind"])
        ]
        assert summary["n"] == len(errors)
        assert summary["mae_eV_per_atom"] == pytest.approx(
            sum(map(abs, errors)) / len(errors), rel=1e-9, abs=0
        )
        assert summary["bias_eV_per_atom"] == pytest.approx(
            sum(errors) / len(errors), rel=1e-9, abs=1e-12
        )


def test_the_table_names_kinds_and_the_error_model():
    text = run("chgnet-0.3.0")
    assert "d metal, charge 4 and more" in text
    assert "Error model per halide ion" in text
    (row,) = (line for line in text.splitlines() if line.split()[:1] == ["TaCl5"])
    assert "-859.0" in row
    assert "red. Na" in row


def test_tables_fit_a_narrow_terminal_uncut():
    text = run("chgnet-0.3.0", columns=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_a_snapshot_without_measured_halides_is_refused(tmp_path):
    elements = ReferencePhases.load("chgnet-0.3.0").system(["Na", "P", "S"])
    path = tmp_path / "sulfides.json"
    path.write_text(elements.dump(), encoding="utf-8")
    with pytest.raises(InvalidInput, match="holds no halide with a measured formation enthalpy"):
        run(str(path))


def test_a_snapshot_with_few_halides_says_why_there_are_no_intervals(tmp_path):
    path = tmp_path / "few.json"
    few = ReferencePhases.load("chgnet-0.3.0").system(["K", "Ta", "Cl"])
    path.write_text(few.dump(), encoding="utf-8")
    assert "25 of 10 metals are needed" in " ".join(run(str(path)).split())
    assert json.loads(run(str(path), "--json"))["error_model"] is None
