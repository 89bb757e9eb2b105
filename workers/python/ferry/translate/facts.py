"""What one run of the source showed about each expression (docs/steps.md, section 5)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

Fact = Mapping[str, Any]


def site_key(node: ast.AST) -> str:
    """The key under which the capture filed an expression."""
    return (
        f"{node.lineno}:{node.col_offset}:"  # type: ignore[attr-defined]
        f"{node.end_lineno}:{node.end_col_offset}"  # type: ignore[attr-defined]
    )


class FileFacts:
    """The facts of one file."""

    def __init__(self, facts: Mapping[str, Any], path: str) -> None:
        self._sites: Mapping[str, Fact] = facts.get("sites", {}).get(path, {})
        self._ran = [(int(a), int(b)) for a, b in facts.get("ran", {}).get(path, [])]

    def of(self, node: ast.AST) -> Fact | None:
        """The fact of an expression, or None if it never ran (or was not watched)."""
        if not hasattr(node, "lineno"):
            return None
        return self._sites.get(site_key(node))

    def kinds(self, node: ast.AST) -> frozenset[str]:
        """The kinds seen; empty where nothing is known."""
        fact = self.of(node)
        if fact is None:
            return frozenset()
        if fact["kind"] == "mixed":
            return frozenset(fact.get("kinds", ()))
        return frozenset([fact["kind"]])

    def storage(self, node: ast.AST) -> frozenset[int]:
        """Ids of the tensor storages seen at an expression."""
        fact = self.of(node)
        return frozenset(fact.get("storage") or ()) if fact else frozenset()

    def ran(self, function: ast.AST) -> bool:
        """Whether a function or method was entered."""
        return any(_same(function, a, b) for a, b in self._ran)


def _same(function: ast.AST, start: int, end: int) -> bool:
    """A range of `ran` names a function by its ``def`` line or by its first decorator."""
    line: int = function.lineno  # type: ignore[attr-defined]
    last: int = function.end_lineno  # type: ignore[attr-defined]
    first = min([line, *(d.lineno for d in getattr(function, "decorator_list", []))])
    return first <= start <= line and end == last
