"""What pages show, as files: tables as CSV and JSON, plots as data, SVG and PDF."""

from __future__ import annotations

import csv
import io
import re
import threading
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import orjson
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import Response

from workflows.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request

    from workflows.dashboard.plot import Plot
    from workflows.figures.style import Width

PlotEnding = Literal["json", "data.json", "csv", "svg", "pdf"]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LARGE_BYTES = 1_000_000
_drawing = threading.Lock()
"""matplotlib's settings belong to the whole process."""


def csv_response(name: str, rows: Iterable[Mapping[str, Any]]) -> Response:
    """A table with a column for each key that any row has; what is unknown is empty."""
    places: dict[str, int] = {}
    records = []
    for row in rows:  # one at a time, for whole rows of ten thousand candidates fill the memory
        for column in row:
            places.setdefault(column, len(places))
        record = [None] * len(places)
        for column, value in row.items():
            record[places[column]] = _cell(value)
        records.append(record)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(places)
    writer.writerows([*record, *[None] * (len(places) - len(record))] for record in records)
    return _file(f"{name}.csv", "text/csv; charset=utf-8", text.getvalue().encode())


def json_response(name: str, rows: Iterable[Mapping[str, Any]]) -> Response:
    """A list of objects; what is not a finite number is null."""
    return _file(f"{name}.json", "application/json", b"[%b]" % b",".join(map(_json, rows)))


def table_response(request: Request, name: str, rows: Iterable[Mapping[str, Any]]) -> Response:
    """A table as the file whose `ending` the URL has.

    Raises:
        HTTPException: 404, there is no such file.
    """
    ending = request.path_params["ending"]
    if ending == "csv":
        return csv_response(name, rows)
    if ending == "json":
        return json_response(name, rows)
    raise HTTPException(404, f"No .{ending} of a table: csv or json.")


def plot_response(request: Request, plot: Plot, ending: str) -> Response:
    """A plot as the page draws it, what is drawn as numbers, or a figure for print.

    Args:
        request: with `width_mm=85` or `width_mm=170` for figures.
        plot: what is asked for.
        ending: of the file.

    Raises:
        HTTPException: 404, there is no such file; 400, no such width.
    """
    if ending == "json":
        drawn = {"data": plot.traces, "layout": plot.layout, "summary": plot.summary}
        return Response(_json(drawn), media_type="application/json")
    if ending == "data.json":
        return json_response(plot.name, plot.rows)
    if ending == "csv":
        return csv_response(plot.name, plot.rows)
    if ending in ("svg", "pdf"):
        return _figure(plot, cast("Literal['svg', 'pdf']", ending), _width(request))
    raise HTTPException(404, f"No .{ending} of a plot: {', '.join(get_args(PlotEnding))}.")


def _width(request: Request) -> Width:
    from workflows.figures.style import WIDTHS_MM

    wanted = request.query_params.get("width_mm", "85")
    for name, width_mm in WIDTHS_MM.items():
        if wanted == f"{width_mm:g}":
            return name
    known = " or ".join(f"{width_mm:g}" for width_mm in WIDTHS_MM.values())
    raise HTTPException(400, f"width_mm={wanted}: needed is {known}.")


def _figure(plot: Plot, ending: Literal["svg", "pdf"], width: Width) -> Response:
    import matplotlib as mpl

    from workflows.figures.style import STYLE, WIDTHS_MM

    content = io.BytesIO()
    with _drawing, mpl.rc_context(STYLE):
        plot.draw(width).savefig(content, format=ending)
    kind = {"svg": "image/svg+xml", "pdf": "application/pdf"}[ending]
    name = f"{plot.name}_{WIDTHS_MM[width]:g}mm.{ending}"
    return _file(name, kind, content.getvalue())


def _file(name: str, kind: str, content: bytes) -> Response:
    after = BackgroundTask(give_back) if len(content) > _LARGE_BYTES else None
    return Response(content, media_type=kind, headers=attached(name), background=after)


def attached(name: str) -> dict[str, str]:
    """Headers of what a browser saves under a name rather than shows."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return {"Content-Disposition": f'attachment; filename="{safe}"'}


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula of its own gets a quote before it."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    if isinstance(value, (list, tuple, dict)):
        return _json(value).decode()
    return value
