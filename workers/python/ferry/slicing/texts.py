"""Texts of a slice: edits made on a source, import statements written anew."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from ferry.slicing.installed import Link

Edit = tuple[int, int, str]


def edited(text: str, edits: Iterable[Edit], start: int = 0, end: int | None = None) -> str:
    """A range of a text with edits made; of two that overlap the outer one counts."""
    end = len(text) if end is None else end
    pieces: list[str] = []
    at = start
    for first, last, new in sorted(edits, key=lambda e: (e[0], -e[1])):
        if first < at:
            continue
        pieces += [text[at:first], new]
        at = max(last, first)
    pieces.append(text[at:end])
    return "".join(pieces)


def dedented(text: str, indent: str) -> str:
    """The lines of a text further out."""
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def import_text(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> str:
    """An import statement with other names."""
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import(names))
    text = ast.unparse(ast.ImportFrom(node.module, names, node.level))
    if len(text) <= 100:
        return text
    head, _, listed = text.partition(" import ")
    return f"{head} import (\n    " + ",\n    ".join(listed.split(", ")) + ",\n)"


def import_lines(linked: Mapping[str, Link]) -> list[str]:
    """Imports for names that the module got in another way: lazily, or with a star."""
    lines: list[str] = []
    for name, link in sorted(linked.items()):
        if link.name is None:
            lines.append(f"import {link.module} as {name}")
        else:
            alias = "" if link.name == name else f" as {name}"
            lines.append(f"from {link.module} import {link.name}{alias}")
    return lines
