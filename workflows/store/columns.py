"""From documents to SQL columns and from MongoDB criteria to SQL, never changing an answer.

A column holds what mongomock's own path rules find in the document:

    NULL            nothing, or None
    number, text    itself; SQLite compares both as MongoDB does, and sorts them alike
    blob            a bool or a date, in bytes that sort as MongoDB sorts them: after all text
    empty blob      OPAQUE: only the document tells (a list, a dict, several values, NaN, ...)

A condition lets every OPAQUE row pass. If a column has such rows, whoever asked must look into the
documents; if not, the condition alone is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mongomock_ng.filtering import NOTHING, iter_key_candidates

from workflows.store.codec import Document, date_of, milliseconds

SqlValue = None | int | float | str | bytes

OPAQUE = b""
_BOOL = b"\x28"
_DATE = b"\x2d"

_INTEGER_LIMIT = 2**63
_MOST_VALUES = 30_000  # SQLite takes 32,766 in one statement


def to_column(document: Document, path: str) -> SqlValue:
    """What the column of `path` holds for a document."""
    found = list(iter_key_candidates(path, document))
    if all(value is None or value is NOTHING for value in found):
        return None
    return _to_sql(found[0]) if len(found) == 1 else OPAQUE


def from_column(value: SqlValue) -> Any:
    """The value in the document, of a column that is not OPAQUE."""
    if not isinstance(value, bytes):
        return value
    kind, payload = value[:1], int.from_bytes(value[1:], "big")
    return bool(payload) if kind == _BOOL else date_of(payload - _INTEGER_LIMIT)


def from_document(document: Document, path: str) -> Any:
    """The value at `path`, None if there is none; a list of values if the path runs through one."""
    found = [value for value in iter_key_candidates(path, document) if value is not NOTHING]
    return found if len(found) > 1 else next(iter(found), None)


def quoted(name: str) -> str:
    """A name as SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Selection:
    """Criteria as far as SQL can take them.

    Attributes:
        conditions: hold, all of them, for every document that matches.
        values: parameters of the conditions.
        columns: columns that the conditions read.
        exact: whether nothing else needs to hold, where none of the columns is OPAQUE.
    """

    conditions: list[str] = field(default_factory=list)
    values: list[SqlValue] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    exact: bool = True

    @property
    def where(self) -> str:
        """The conditions as one clause."""
        return " where " + " and ".join(self.conditions) if self.conditions else ""


def select(criteria: Mapping[str, Any], columns: Collection[str]) -> Selection:
    """Translate equality, `$in` and their opposites on columns; leave the rest to the documents."""
    selection = Selection()
    for path, wanted in criteria.items():
        clause = _clause(path, wanted) if path in columns else None
        if clause is None:
            selection.exact = False
            continue
        condition, values, exact = clause
        selection.conditions.append(condition)
        selection.values.extend(values)
        selection.columns.add(path)
        selection.exact &= exact
    return selection


def _clause(path: str, wanted: Any) -> tuple[str, list[SqlValue], bool] | None:
    """Condition, its parameters and whether it is exact; None if SQL has nothing to say."""
    operator, operand = "$eq", wanted
    if isinstance(wanted, Mapping):
        if len(wanted) != 1:
            return None
        ((operator, operand),) = wanted.items()
    column = quoted(path)
    if operator == "$exists" and not operand:
        return f"({column} is null or {column} = x'')", [], False
    if operator in ("$eq", "$ne"):
        operand = [operand]
    elif operator not in ("$in", "$nin") or not isinstance(operand, list | tuple):
        return None
    values = [alike for value in operand if value is not None for alike in _alike(value)]
    if OPAQUE in values or len(values) > _MOST_VALUES:
        return None
    with_none = any(value is None for value in operand)
    marks = ", ".join("?" * len(values))
    if operator in ("$ne", "$nin"):
        exclusion = f"({column} is null or {column} not in ({marks}))"
        return None if with_none else (exclusion, values, True)
    condition = f"{column} in ({marks}{', ' if values else ''}x'')"
    if with_none:  # mongomock tells a missing value from one below a missing parent
        return f"({condition} or {column} is null)", values, False
    return condition, values, True


def _alike(value: Any) -> list[SqlValue]:
    """The column values that equal `value`: to mongomock as to Python, True is 1 is 1.0."""
    if isinstance(value, bool | int | float) and value in (0, 1):
        return [int(value), _to_sql(bool(value))]
    return [_to_sql(value)]


def _to_sql(value: Any) -> SqlValue:
    match value:
        case bool():
            return _BOOL + bytes([value])
        case str():
            return str.__str__(value)
        case int() if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            return int(value)
        case float() if not math.isnan(value):
            return float(value)
        case datetime():
            return _DATE + (milliseconds(value) + _INTEGER_LIMIT).to_bytes(8, "big")
    return OPAQUE
