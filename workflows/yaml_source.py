"""YAML 1.2 read into plain values that still know where they stand in the file.

Only what JSON can say is read: mappings with text keys, lists, text, finite numbers, booleans and
null. Dates stay text, tags are refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError

from screening.errors import InvalidInput

_MAX_NODES = 100_000  # aliases of aliases grow without bound
_MAX_DEPTH = 20
_MAX_SHOWN = 60

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a file; line and column count from 1, 0 stands for the whole file."""

    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        if not self.line:
            return self.message
        place = f"line {self.line}, " + (self.key or f"column {self.column}")
        return f"{place}: {self.message}"


class ConfigError(InvalidInput):
    """A campaign file that cannot be used, with everything that is wrong with it."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        super().__init__(path, self.problems)

    def __str__(self) -> str:
        if not any(problem.line for problem in self.problems):
            return "\n".join(f"{self.path}: {problem}" for problem in self.problems)
        plural = "s" if len(self.problems) > 1 else ""
        head = f"{self.path}: {len(self.problems)} problem{plural}"
        return "\n  ".join([head, *map(str, self.problems)])


@dataclass(frozen=True)
class Source:
    """A value with its place in the file: that of its key where it has one."""

    value: Any
    found: str
    line: int
    column: int
    path: KeyPath = ()
    children: dict[str | int, Source] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key path, e.g. `dynamics.temperatures_K[1]`."""
        return key_text(self.path)

    def at(self, path: Iterable[str | int]) -> Source:
        """The value under `path`; steps that the file does not have are passed over."""
        here = self
        for step in path:
            here = here.children.get(step, here)
        return here

    def problem(self, message: str, key: str | None = None) -> Problem:
        """Something wrong with this value or, given its name, with a `key` inside it."""
        path = self.path if key is None else (*self.path, key)
        return Problem(self.line, self.column, key_text(path), message)


def key_text(path: Iterable[str | int]) -> str:
    """`("files", 0, "path")` as `files[0].path`."""
    steps = (
        f"[{step}]" if isinstance(step, int) else f".{step if step.isprintable() else ascii(step)}"
        for step in path
    )
    return "".join(steps).removeprefix(".")


def read_yaml(path: Path) -> tuple[Source, list[Problem]]:
    """Read a file into its values and what is wrong with them one by one.

    Raises:
        ConfigError: nothing can be read at all, or the file is no mapping.
    """
    node = _compose(path)
    reader = _Reader(path)
    source = reader.read(node, (), node)
    if not isinstance(node, MappingNode):
        message = f"found {source.found}; needed: keys and values, as in `name: my-campaign`"
        raise ConfigError(path, [Problem(0, 0, "", message)])
    return source, reader.problems


def _compose(path: Path) -> Node:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError(path, [Problem(0, 0, "", message)]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise ConfigError(path, [Problem(0, 0, "", message)]) from None
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = _MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # YAML 1.2: the latest one counts
    try:
        node: Node | None = yaml.compose(text)
    except Exception as error:  # ruamel.yaml stumbles over odd directives with bare KeyErrors
        raise ConfigError(path, [_syntax_problem(error, text)]) from None
    if node is None:
        message = "is empty; `halideflow schema --defaults` prints one to start from"
        raise ConfigError(path, [Problem(0, 0, "", message)])
    return node


def _syntax_problem(error: Exception, text: str) -> Problem:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        if mark is not None:
            return Problem(mark.line + 1, mark.column + 1, "", f"not YAML: {reason}")
    if isinstance(error, ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Problem(line, column, "", f"not YAML: character {error.character!r}")
    return Problem(0, 0, "", f"not YAML: {type(error).__name__}: {error}")


class _Reader:
    """Turns a tree of YAML nodes into a `Source`, collecting problems on the way."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.problems: list[Problem] = []
        self._n_nodes = 0

    def read(self, node: Node, path: KeyPath, place: Node) -> Source:
        self._n_nodes += 1
        if self._n_nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            message = f"holds over {_MAX_NODES} values or nests deeper than {_MAX_DEPTH}"
            raise ConfigError(self._file, [Problem(0, 0, "", message)])
        line, column = place.start_mark.line + 1, place.start_mark.column + 1
        if node.tag and not node.tag.startswith("tag:yaml.org,2002:"):
            message = f"found the tag {node.tag}; write a plain value"
            self.problems.append(Problem(line, column, key_text(path), message))
        if isinstance(node, MappingNode):
            children: dict[str | int, Source] = dict(self._entries(node, path))
            value: Any = {key: child.value for key, child in children.items()}
            return Source(value, "a block of keys", line, column, path, children)
        if isinstance(node, SequenceNode):
            items = [self.read(item, (*path, i), item) for i, item in enumerate(node.value)]
            found = f"a list of {len(items)}" if items else "an empty list"
            return Source(
                [item.value for item in items], found, line, column, path, dict(enumerate(items))
            )
        source = Source(*_scalar(node), line, column, path)
        number = isinstance(source.value, int | float)
        if number and not abs(source.value) <= sys.float_info.max:  # NaN lands here too
            self.problems.append(source.problem(f"found {source.found}; needed: a finite number"))
            return Source(None, source.found, line, column, path)
        return source

    def _entries(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Source]]:
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, ScalarNode):
                message = "found a list or block as a key; needed: text"
                self.problems.append(Problem(line, column, key_text(path), message))
                continue
            key = _text(key_node)
            if key in first_lines:
                message = f"given twice, first on line {first_lines[key]}; remove one"
                self.problems.append(Problem(line, column, key_text((*path, key)), message))
                continue
            first_lines[key] = line
            yield key, self.read(value_node, (*path, key), key_node)


def _scalar(node: Node) -> tuple[Any, str]:
    """Value of a scalar and how a message shows it, as it stands in the file."""
    text = _text(node)
    shown = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    kind = node.tag.rpartition(":")[2] if node.tag else "str"
    try:
        if kind == "null":
            return None, "nothing"
        if kind == "bool":
            return text.lower() in {"true", "yes", "on", "y"}, shown
        if kind == "int":
            based = text.lower().lstrip("+-").startswith(("0x", "0o", "0b"))
            return int(text, 0 if based else 10), shown
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan")), shown
    except ValueError:
        pass  # e.g. more digits than Python reads: shown as the text that it is
    return text, json.dumps(shown, ensure_ascii=False)


def _text(node: Node) -> str:
    """Text of a scalar; escaped surrogate pairs become one character, as JSON reads them."""
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
