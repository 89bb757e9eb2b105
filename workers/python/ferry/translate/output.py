"""From rendered text to a file: imports that are needed, and the prelude's definitions."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ferry.translate.import_lines import IMPORTS_MARK
from ferry.translate.library import Definition, Library
from ferry.translate.source import SourceFile

PRELUDE_FILE = "nn_layers.py"
_HEADER = "# Layers and functions with torch's semantics."
_SHORT = {
    "jax": "import jax",
    "jnp": "import jax.numpy as jnp",
    "lax": "from jax import lax",
    "nnx": "from flax import nnx",
    "functools": "import functools",
    "math": "import math",
    "np": "import numpy as np",
}


@dataclass(frozen=True)
class Rendered:
    """One file's text before imports, and the prelude names it uses."""

    path: str
    text: str
    prelude: frozenset[str]


def needed_imports(text: str, known: Mapping[str, str]) -> set[str]:
    """Import statements for the names of `known` that the text reads and does not bind."""
    tree = ast.parse(text)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {
        (a.asname or a.name).split(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    return {known[name] for name in (read - bound) & set(known)}


def sorted_imports(statements: Iterable[str]) -> str:
    """Import statements in isort's order: the standard library, then packages."""
    merged = _merge(set(statements))

    def key(line: str) -> tuple[int, int, str]:
        module = line.split()[1].split(".")[0]
        return (module not in sys.stdlib_module_names, line.startswith("from"), line.lower())

    ordered = sorted(merged, key=key)
    groups = [[s for s in ordered if not key(s)[0]], [s for s in ordered if key(s)[0]]]
    return "\n\n".join("\n".join(g) for g in groups if g)


def _merge(statements: set[str]) -> list[str]:
    """One ``from m import a, b`` for each module."""
    names: dict[str, list[str]] = {}
    plain: list[str] = []
    for statement in sorted(statements):
        match = re.fullmatch(r"from (\S+) import (.+)", statement)
        if match:
            names.setdefault(match.group(1), []).append(match.group(2))
        else:
            plain.append(statement)
    return plain + [f"from {m} import {', '.join(sorted(set(n)))}" for m, n in names.items()]


def renamed(definition: Definition, spelling: Mapping[str, str]) -> str:
    """A definition's text with names of the prelude spelled as the output needs."""
    source = SourceFile("prelude", definition.text)
    edits: list[tuple[int, int, str]] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and _is_renamed(source, node, spelling):
            edits.append((*source.span(node), spelling[node.id]))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            new = spelling.get(node.value, node.value)
            if new != node.value:
                edits.append((*source.span(node), f'"{new}"'))
    text = definition.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    new = spelling.get(definition.name, definition.name)
    return re.sub(rf"^(class|def) {definition.name}\b", rf"\1 {new}", text, count=1, flags=re.M)


def _is_renamed(source: SourceFile, node: ast.Name, spelling: Mapping[str, str]) -> bool:
    """Whether a name means a definition that has another spelling, not a local variable."""
    return spelling.get(node.id, node.id) != node.id and not source.is_local(node, node.id)


class Writer:
    """Puts the rendered files of one source together."""

    def __init__(self, library: Library, spelling: Mapping[str, str]) -> None:
        self._library = library
        self._spelling = spelling
        self.inserted: dict[str, tuple[int, int]] = {}

    def write(self, files: Sequence[Rendered], folder: str) -> dict[str, str]:
        """All output files by path: the prelude inline if one file needs it, else beside them."""
        users = [f for f in files if f.prelude]
        if len(users) <= 1:
            return {f.path: self._single(f) for f in files}
        path = folder + PRELUDE_FILE
        while path in {f.path for f in files}:
            path = path.replace(".py", "_.py")
        module = path.removesuffix(".py").replace("/", ".")
        texts = {f.path: self._importing(f, module) for f in files}
        names = {name for f in users for name in f.prelude}
        body, imports = self._definitions(names)
        texts[path] = f'"""{_HEADER[2:]}"""\n\n{sorted_imports(imports)}\n\n\n{body}\n'
        self.inserted[path] = (0, texts[path].count("\n"))
        return texts

    def _single(self, file: Rendered) -> str:
        if not file.prelude:
            return with_imports(file.text, needed_imports(unmarked(file.text), _SHORT))
        body, imports = self._definitions(file.prelude)
        text = with_imports(file.text, needed_imports(unmarked(file.text), _SHORT) | imports)
        lines = text.splitlines(keepends=True)
        at = end_of_imports(text)
        blank = sum(1 for _ in itertools.takewhile(lambda line: not line.strip(), lines[at:]))
        block = f"\n{_HEADER}\n\n\n{body}\n" + "\n" * max(2 - blank, 0)
        self.inserted[file.path] = (at, at + block.count("\n"))
        return "".join([*lines[:at], block, *lines[at:]])

    def _importing(self, file: Rendered, module: str) -> str:
        needed = needed_imports(unmarked(file.text), _SHORT)
        needed |= {f"from {module} import {self._spelled(name)}" for name in file.prelude}
        return with_imports(file.text, needed)

    def _definitions(self, names: Iterable[str]) -> tuple[str, set[str]]:
        """The text of all definitions needed, and their imports."""
        closure = self._library.closure(sorted(names))
        body = "\n\n\n".join(renamed(d, self._spelling) for d in closure)
        imports = {self._library.imports[i] for d in closure for i in d.imports}
        return body, imports

    def _spelled(self, name: str) -> str:
        return self._spelling.get(name, name)


def unmarked(text: str) -> str:
    """The text without the marks of import lines."""
    return re.sub(rf"[ \t]*{IMPORTS_MARK}\n?", "", text)


def with_imports(text: str, statements: set[str]) -> str:
    """Put import statements where torch's stood; those already there are not repeated."""
    tree = ast.parse(unmarked(text))
    present = {
        s for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for s in _spelled_out(n)
    }
    block = sorted_imports(statements - present)
    if IMPORTS_MARK in text and block:
        text = text.replace(IMPORTS_MARK, block, 1)
        return unmarked(text)
    text = unmarked(text)
    if not block:
        return text
    lines = text.splitlines(keepends=True)
    at = end_of_imports(text)
    gap = "\n" if at and not any(_is_import(n) for n in tree.body) else ""
    return f"{''.join(lines[:at])}{gap}{block}\n{''.join(lines[at:])}"


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _spelled_out(node: ast.Import | ast.ImportFrom) -> list[str]:
    head = f"from {node.module} import" if isinstance(node, ast.ImportFrom) else "import"
    return [f"{head} {a.name}" + (f" as {a.asname}" if a.asname else "") for a in node.names]


def end_of_imports(text: str) -> int:
    """The number of lines up to the last import (or the docstring) at the head of a module."""
    last = 0
    for node in ast.parse(text).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guarded = isinstance(node, ast.Try) and all(_is_import(n) for n in node.body)
        if not _is_import(node) and not docstring and not guarded:
            break
        last = node.end_lineno or 0
    return last
