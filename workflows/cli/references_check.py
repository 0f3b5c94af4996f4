"""`references check`: an engine's formation enthalpies of halides beside measured ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflows.cli.common import Json, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from screening.stability.enthalpies import HalideError, LimitError

DEFAULT_SNAPSHOT = "chgnet-0.3.0"
_SHORT = {"oxidation": "oxid.", "reduction": "red."}


def check(
    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT", help="Shipped name, file or folder.")
    ] = DEFAULT_SNAPSHOT,
    as_json: Json = False,
) -> None:
    """Compare SNAPSHOT's formation energies of halides with measured enthalpies.

    Each error is followed to a limit: the oxidation of an alkali halide, the reduction of any other
    against Na, K or Li. What the errors have in common is the error model behind the intervals of
    windows.
    """
    from screening.errors import InvalidInput
    from screening.stability.enthalpies import (
        enthalpy_sources,
        halide_errors,
        limit_errors,
        mixing_errors_eV_per_atom,
    )
    from screening.stability.references import ReferencePhases
    from screening.stability.uncertainty import error_model

    references = ReferencePhases.load(snapshot)
    errors = halide_errors(references)
    if not errors:
        raise InvalidInput(
            f"{snapshot} holds no halide with a measured formation enthalpy together with its "
            "elements; such as LiCl, Li and Cl2"
        )
    limits = {limit.formula: limit for limit in limit_errors(errors)}
    model = error_model(references)
    document: dict[str, Any] = {
        "snapshot": snapshot,
        "references_sha256": references.sha256,
        "convention": references.convention.model_dump(),
        "halides": [_row(error, limits.get(error.halide.formula)) for error in errors],
        "summary": list(_summaries(errors, limits)),
        "mixing_errors_eV_per_atom": mixing_errors_eV_per_atom(references),
        "error_model": None if isinstance(model, str) else _fields(model),
        "why_no_error_model": model if isinstance(model, str) else None,
        "sources": enthalpy_sources(),
    }
    if as_json:
        print_json(document)
    else:
        _print(document)


def _row(error: HalideError, limit: LimitError | None) -> dict[str, Any]:
    from screening.stability.enthalpies import KJ_PER_MOL_IN_EV

    halide = error.halide
    return {
        "formula": halide.formula,
        "kind": halide.kind,
        "source": next(iter(halide.values)),
        "measured_kJ_mol": round(halide.enthalpy_eV / KJ_PER_MOL_IN_EV, 2),
        "uncertainty_kJ_mol": round(halide.uncertainty_eV / KJ_PER_MOL_IN_EV, 2),
        "other_sources_kJ_mol": dict(list(halide.values.items())[1:]),
        "engine_kJ_mol": round(error.engine_eV / KJ_PER_MOL_IN_EV, 2),
        "error_eV_per_atom": error.error_eV_per_atom,
        "error_eV_per_formula": error.error_eV,
        "limit": limit and {**_fields(limit), "error_V": limit.error_V},
    }


def _summaries(
    errors: Iterable[HalideError], limits: dict[str, LimitError]
) -> Iterator[dict[str, Any]]:
    from screening.stability.enthalpies import KINDS

    known = list(errors)
    for kind in ("all", *KINDS):
        of_kind = [e for e in known if kind in ("all", e.halide.kind)]
        if not of_kind:
            continue
        per_atom = [e.error_eV_per_atom for e in of_kind]
        per_formula = [e.error_eV for e in of_kind]
        volts = [limits[f].error_V for e in of_kind if (f := e.halide.formula) in limits]
        yield {
            "kind": kind,
            "n": len(of_kind),
            "mae_eV_per_atom": _mean(map(abs, per_atom)),
            "bias_eV_per_atom": _mean(per_atom),
            "mae_eV_per_formula": _mean(map(abs, per_formula)),
            "bias_eV_per_formula": _mean(per_formula),
            "mae_limit_V": _mean(map(abs, volts)),
            "bias_limit_V": _mean(volts),
        }


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


def _fields(record: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(record)


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    console.print(_halide_table(document["halides"]))
    console.print(_summary_table(document["summary"]))
    mixing = document["mixing_errors_eV_per_atom"]
    if mixing:
        listed = ", ".join(f"{f} {1000 * e:+.0f}" for f, e in mixing.items())
        console.print(f"Formed from its binaries, meV/atom: {listed}", highlight=False)
    model = document["error_model"]
    if model is None:
        console.print(f"No intervals of limits: {document['why_no_error_model']}", highlight=False)
        return
    console.print(
        "Error model per halide ion: bias "
        f"{model['alpha_eV']:+.3f} {model['beta_eV']:+.3f} z {model['gamma_eV']:+.3f} (p metals) "
        f"eV; spread {model['shared_spread_eV']:.3f} shared by a metal, "
        f"{model['own_spread_eV']:.3f} not; × {model['scale']:.2f} outside the s block.",
        highlight=False,
    )


def _halide_table(rows: list[dict[str, Any]]) -> Any:
    table = _table("halide", "exper.\nkJ/mol", "±", "engine\nkJ/mol", "error\nmeV/at")
    table.add_column("limit\nagainst", no_wrap=True)
    for name in ("exper.\nV", "engine\nV", "error\nV"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        limit = row["limit"]
        table.add_row(
            row["formula"],
            f"{row['measured_kJ_mol']:.1f}",
            f"{row['uncertainty_kJ_mol']:.1f}",
            f"{row['engine_kJ_mol']:.1f}",
            f"{1000 * row['error_eV_per_atom']:+.0f}",
            f"{_SHORT[limit['limit']]} {limit['against']}" if limit else "–",
            *(f"{limit[key]:.2f}" if limit else "–" for key in ("measured_V", "engine_V")),
            f"{limit['error_V']:+.2f}" if limit else "–",
        )
    return table


def _summary_table(rows: list[dict[str, Any]]) -> Any:
    table = _table("kind", "n", "MAE\nmeV/at", "bias\n", "MAE\neV/f.u.", "bias\n")
    table.add_column("limit:\nMAE, V", justify="right", no_wrap=True)
    table.add_column("bias\n", justify="right", no_wrap=True)
    for row in rows:
        mae_V, bias_V = row["mae_limit_V"], row["bias_limit_V"]
        table.add_row(
            row["kind"],
            str(row["n"]),
            f"{1000 * row['mae_eV_per_atom']:.0f}",
            f"{1000 * row['bias_eV_per_atom']:+.0f}",
            f"{row['mae_eV_per_formula']:.2f}",
            f"{row['bias_eV_per_formula']:+.2f}",
            "–" if mae_V is None else f"{mae_V:.2f}",
            "–" if bias_V is None else f"{bias_V:+.2f}",
        )
    return table


def _table(first: str, *others: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
