"""The slice of all installed packages that one run of a caller's program reached."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ferry.files import module_name
from ferry.slicing.closure import Closure
from ferry.slicing.cut import Cutter
from ferry.slicing.installed import Installed, bound_by
from ferry.translate.names import absolute_module
from ferry.translate.source import SourceFile

Json = dict[str, Any]


@dataclass
class Slice:
    """Files to stand beside the caller's own, and what was left out of each."""

    files: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> Json:
        """The `packages` of the facts."""
        return {"files": self.files, "notes": self.notes}


def slice_packages(
    installed: Installed,
    files: Sequence[Json],
    expressions: Sequence[str],
    entry: str,
    classes: set[str],
) -> Slice:
    """Cut out what `installed.trace` saw; `entry` is the name that the caller's
    files have the entry by, `classes` are those of the model's modules."""
    closure = Closure(installed, classes)
    own = [SourceFile(f["path"], f["content"]) for f in files if f["path"].endswith(".py")]
    closure.add_sources(own, expressions, entry)
    cutter = Cutter(closure)
    found = Slice()
    for part in sorted(closure.parts.values(), key=lambda p: p.module.path):
        found.files.append({"path": part.module.path, "content": cutter.text(part)})
        if cutter.left_out:
            listed = ", ".join(cutter.left_out)
            found.notes.append(f"{part.module.path}: left out, as it never ran: {listed}")
        if cutter.answered:
            listed = ", ".join(cutter.answered)
            found.notes.append(f"{part.module.path}: as where the oracle ran: {listed}")
    return found


@contextmanager
def hidden(is_hidden: Callable[[str], bool]) -> Iterator[None]:
    """Imported modules of certain names are forgotten while the block runs, then as they were."""

    def popped() -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if is_hidden(name)}

    away = popped()
    try:
        yield
    finally:
        popped()
        sys.modules.update(away)


def is_below(files: Sequence[Json]) -> Callable[[str], bool]:
    """Whether a module belongs to a package that `files` stand for."""
    tops = {file["path"].partition("/")[0].removesuffix(".py") for file in files}
    return lambda name: name.partition(".")[0] in tops


def without_idle_names(files: Sequence[Json]) -> Callable[[ast.Module, str], None]:
    """Takes imported names out of a file's tree that `files` do not have, as nothing used them."""
    trees = {module_name(f["path"]): ast.parse(f["content"]) for f in files}
    tops = {name.partition(".")[0] for name in trees}
    names = {name: {n for s in tree.body for n in bound_by(s)} for name, tree in trees.items()}

    def is_there(module: str, name: str) -> bool:
        known = name in names.get(module, ()) or f"{module}.{name}" in names
        return known or name == "*" or module.partition(".")[0] not in tops

    def prepare(tree: ast.Module, path: str) -> None:
        for node in ast.walk(tree):
            for field_name in ("body", "orelse", "handlers", "finalbody"):
                block = getattr(node, field_name, None)
                if isinstance(block, list):
                    block[:] = [narrowed(s, path) for s in block]

    def narrowed(node: ast.stmt, path: str) -> ast.stmt:
        if isinstance(node, ast.ImportFrom):
            module = absolute_module(path, node)
            node.names = [a for a in node.names if is_there(module, a.name)]
            return node if node.names else ast.copy_location(ast.Pass(), node)
        return node

    return prepare
