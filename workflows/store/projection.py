"""The part of a document that the `properties` of a query ask for, by MongoDB's rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workflows.store.codec import Document

Tree = dict[str, "Tree"]  # an empty tree stands for all below


class Projection:
    """Callable that cuts documents down to what is wanted.

    Args:
        properties: dotted paths to keep, or a mapping of paths to 1 (keep only these) or 0 (leave
            these out); None or empty keeps everything. `_id` is ignored: there is none.

    Raises:
        ValueError: ones and zeros mixed, or a projection operator.
    """

    def __init__(self, properties: Mapping[str, Any] | Iterable[str] | None) -> None:
        wanted = dict(
            properties if isinstance(properties, Mapping) else dict.fromkeys(properties or (), 1)
        )
        wanted.pop("_id", None)
        if len(set(wanted.values())) > 1 or not {0, 1}.issuperset(wanted.values()):
            raise ValueError(f"properties must be all 1 or all 0, got {wanted}")
        self._keep = 1 in wanted.values()
        self._tree: Tree = {}
        for path in sorted(wanted, key=len, reverse=True):  # a parent replaces its children
            *parents, last = path.split(".")
            branch = self._tree
            for step in parents:
                branch = branch.setdefault(step, {})
            branch[last] = {}

    def __call__(self, document: Document) -> Document:
        """The wanted part; it shares its values with `document`."""
        return self._cut(document, self._tree) if self._tree else document

    def _cut(self, value: Any, tree: Tree) -> Any:
        if isinstance(value, list):
            parts = value if not self._keep else [v for v in value if isinstance(v, dict | list)]
            return [self._cut(part, tree) for part in parts]
        if not isinstance(value, dict):
            return value
        if not self._keep:
            return {
                key: self._cut(part, tree[key]) if key in tree else part
                for key, part in value.items()
                if tree.get(key) != {}
            }
        return {
            key: self._cut(part, tree[key]) if tree[key] else part
            for key, part in value.items()
            if key in tree and (not tree[key] or isinstance(part, dict | list))
        }
