"""A YAML file read into a model, with every problem named by its line and key path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from workflows.config_docs import Schema, allowed, allowed_keys, choices
from workflows.yaml_source import ConfigError, KeyPath, Problem, Source, read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model]) -> Model:
    """Read and check a file.

    Raises:
        ConfigError: with all problems of the file, each with its line.
    """
    source, problems = read_yaml(path)
    try:
        # JSON's strictness is what is wanted: a list for a tuple, but no "900" or yes for a number
        read = model.model_validate_json(json.dumps(source.value), strict=True)
    except ValidationError as error:
        named = {problem.key for problem in problems}
        schema = schema_of(model)
        details = error.errors(include_url=False)
        found = (
            _problem(detail, source, schema)
            for detail in details
            if not _follows_from_another(detail, details)
        )
        problems.extend(problem for problem in found if problem.key not in named)
    if problems:
        raise ConfigError(path, problems)
    return read


def schema_of(model: type[BaseModel]) -> Schema:
    """JSON Schema of a model that refers to no definitions: they stand where they are used."""
    schema = model.model_json_schema()
    whole: Schema = _without_references(schema, schema.get("$defs", {}))
    return whole


def nearest(found: Any, known: Iterable[Any]) -> str:
    """` did you mean ...?`, where there is something near."""
    spellings = {str(choice).lower(): str(choice) for choice in known}
    near = get_close_matches(str(found).lower(), spellings, n=1)
    return f" did you mean {spellings[near[0]]}?" if near else ""


def _without_references(value: Any, definitions: dict[str, Schema]) -> Any:
    if isinstance(value, list):
        return [_without_references(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    own = {k: _without_references(v, definitions) for k, v in value.items() if k != "$ref"}
    if "$ref" not in value:
        return own
    definition = definitions[value["$ref"].rpartition("/")[2]]
    return {**_without_references(definition, definitions), **own}


def _at(schema: Schema, path: Iterable[str | int]) -> Schema:
    for step in path:
        found = (_inside(branch, step) for branch in _branches(schema))
        schema = next((inner for inner in found if inner), {})
    return schema


def _branches(schema: Schema) -> Iterator[Schema]:
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if not alternatives:
        yield schema
    for alternative in alternatives or ():
        yield from _branches(alternative)


def _inside(schema: Schema, step: str | int) -> Schema | None:
    if isinstance(step, int):
        places = schema.get("prefixItems", [])
        found = places[step] if step < len(places) else schema.get("items")
    else:
        others = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        found = schema.get("properties", {}).get(step, others[0])
    return found if isinstance(found, dict) else None


def _follows_from_another(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because entries of it are wrong."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in details
    )


def _problem(detail: ErrorDetails, source: Source, schema: Schema) -> Problem:
    """What pydantic found, at its place in the file and in our words."""
    here = source.at(detail["loc"])
    expected = _at(schema, here.path)
    match detail["type"]:
        case "missing" if isinstance(key := detail["loc"][-1], str):
            needed = allowed(_at(schema, (*here.path, key)))
            return here.problem(f"required key is missing; needed: {needed}", key)
        case "extra_forbidden":
            return here.problem(_unknown_key(here.path, schema))
        case "value_error":
            return _of_block(here, str(detail["ctx"]["error"]))
    values = choices(expected)
    hint = nearest(here.value, values) if len(values) > 1 else ""
    return here.problem(f"found {here.found};{hint} allowed: {allowed(expected)}")


def _unknown_key(path: KeyPath, schema: Schema) -> str:
    *block, key = path
    keys = allowed_keys(_at(schema, block))
    homes = [b for b in allowed_keys(schema) if key in allowed_keys(_at(schema, (b,)))]
    hint = f" did you mean {homes[0]}.{key}?" if homes else nearest(key, keys)
    return f"unknown key;{hint} allowed: {', '.join(keys)}"


def _of_block(block: Source, message: str) -> Problem:
    """At the key path that the message begins with, or at the first key of the block it names."""
    path, colon, rest = message.partition(": ")
    steps = path.split(".")
    inner = block.at(steps)
    if colon and len(inner.path) == len(block.path) + len(steps):
        return inner.problem(rest)
    words = re.findall(r"\w+", message)
    culprit = next((block.children[word] for word in words if word in block.children), block)
    return culprit.problem(message)
