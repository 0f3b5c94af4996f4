"""What one config says otherwise than another, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MISSING = object()


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A key with its values as text, None where a config has no such key."""

    key: str
    before: str | None
    after: str | None


def config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ConfigChange]:
    """Keys whose values differ, by their path, in the order of the later config."""
    return list(_changes("", before, after))


def _changes(path: str, before: Any, after: Any) -> Iterator[ConfigChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*after, *(key for key in before if key not in after)):
            name = f"{path}.{key}" if path else str(key)
            yield from _changes(name, before.get(key, _MISSING), after.get(key, _MISSING))
    elif isinstance(before, list) and isinstance(after, list) and _of_mappings(before, after):
        for place in range(max(len(before), len(after))):
            pair = (x[place] if place < len(x) else _MISSING for x in (before, after))
            yield from _changes(f"{path}[{place}]", *pair)
    elif before != after:
        yield ConfigChange(path, _text(before), _text(after))


def _of_mappings(*lists: list[Any]) -> bool:
    return all(isinstance(entry, Mapping) for each in lists for entry in each)


def _text(value: Any) -> str | None:
    if value is _MISSING:
        return None
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(each)}" for key, each in value.items()) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(str(_text(each)) for each in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
