"""INCAR as VASP reads it, independently of pymatgen, whose import takes a second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from workflows.rehearsal.stopped import Stopped

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | list[Scalar]

_VECTORS = frozenset(
    {
        *("DIPOL", "EFIELD_PEAD", "EINT", "FERDO", "FERWE", "IBAND", "KPUSE", "LANGEVIN_GAMMA"),
        *("LATTICE_CONSTRAINTS", "LDAUJ", "LDAUL", "LDAUU", "MAGMOM", "QSPIRAL", "RANDOM_SEED"),
        *("ROPT", "RWIGS", "SAXIS", "VDW_C6", "VDW_R0"),
    }
)
_TEXTS = frozenset({"SYSTEM"})
_TRUTH = re.compile(r"\.?(T|TRUE|F|FALSE)\.?", re.IGNORECASE)
_COMMENT = re.compile(r"[#!].*")
_CONTINUED = re.compile(r"\\[ \t]*\n")
_REPEATED = re.compile(r"(\d+)\*(\S+)")
_ASSIGNMENT = re.compile(r'\s*(\w+)\s*=[ \t]*(?:"([^"]*)"|([^;\n]*))\s*(?:[;\n]|\Z)')


class Incar(Mapping[str, Value]):
    """Tags in capitals with their values; the first value of a tag counts, as in VASP."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values: dict[str, Value] = {}
        for tag, value in values.items():
            self._values.setdefault(tag.upper(), value)

    @classmethod
    def parse(cls, text: str) -> Incar:
        """Read a file's text.

        Raises:
            Stopped: a line that assigns nothing.
        """
        values: dict[str, Value] = {}
        text = _CONTINUED.sub(" ", "\n".join(_COMMENT.sub("", line) for line in text.split("\n")))
        position = 0
        while position < len(text):
            match = _ASSIGNMENT.match(text, position)
            if match is None:
                rest = text[position:].lstrip(" \t\r\n;")
                if not rest:
                    break
                if rest == text[position:]:
                    raise Stopped(
                        f"INCAR: {rest.splitlines()[0]!r} assigns nothing; needed: TAG = VALUE"
                    )
                position = len(text) - len(rest)
                continue
            tag = match[1].upper()
            words = (match[2] if match[2] is not None else match[3]).strip()
            if words:
                values.setdefault(tag, _value(tag, words))
            position = match.end()
        return cls(values)

    def __getitem__(self, tag: str) -> Value:
        return self._values[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def whole(self, tag: str, default: int) -> int:
        """A whole number."""
        value = self._values.get(tag, default)
        if isinstance(value, float) and value == int(value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unreadable(tag, "a whole number")
        return value

    def real(self, tag: str, default: float) -> float:
        """A number."""
        value = self._values.get(tag, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._unreadable(tag, "a number")
        return float(value)

    def reals(self, tag: str, default: list[float]) -> list[float]:
        """Several numbers."""
        value = self._values.get(tag)
        if value is None:
            return default
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
            raise self._unreadable(tag, "numbers")
        return [float(item) for item in items]

    def flag(self, tag: str, *, default: bool) -> bool:
        """A truth value."""
        value = self._values.get(tag, default)
        if not isinstance(value, bool):
            raise self._unreadable(tag, ".TRUE. or .FALSE.")
        return value

    def text(self, tag: str, default: str) -> str:
        """Whatever it is, as text."""
        return str(self._values.get(tag, default))

    def _unreadable(self, tag: str, needed: str) -> Stopped:
        return Stopped(f"INCAR: {tag} = {self._values[tag]!r} cannot be read; needed: {needed}")


def _value(tag: str, words: str) -> Value:
    if tag in _TEXTS:
        return words
    items: list[Scalar] = []
    for word in words.split():
        match = _REPEATED.fullmatch(word)
        n_times, one = (int(match[1]), match[2]) if match else (1, word)
        items += n_times * [_scalar(one)]
    if tag in _VECTORS or (len(items) > 1 and not any(isinstance(item, str) for item in items)):
        return items
    return items[0]


def _scalar(word: str) -> Scalar:
    if match := _TRUTH.fullmatch(word):
        return match[1].upper().startswith("T")
    for kind in (int, float):
        try:
            return kind(word.lower().replace("d", "e"))
        except ValueError:
            continue
    return word
