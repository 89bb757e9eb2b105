"""The prelude as text: which definitions there are, and the closure of those used.

Nothing here imports the prelude (it needs jax); its modules are read as source.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferry.translate.source import SourceFile, is_function

PRELUDE = Path(__file__).resolve().parent.parent / "prelude"


@dataclass(frozen=True)
class Definition:
    """One top-level definition of the prelude."""

    name: str
    module: str
    text: str
    order: tuple[str, int]
    is_class: bool
    bases: tuple[str, ...]
    uses: frozenset[str]
    imports: frozenset[str]
    takes_rngs: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Library:
    """All definitions by name, and the import statement behind each imported name."""

    definitions: Mapping[str, Definition]
    imports: Mapping[str, str]

    def closure(self, names: Iterable[str]) -> list[Definition]:
        """The named definitions and all they use, each after what it needs at import."""
        reached: dict[str, Definition] = {}
        stack = list(names)
        while stack:
            name = stack.pop()
            if name not in reached:
                reached[name] = self.definitions[name]
                stack.extend(reached[name].uses)
        modules = self._module_ranks()
        return sorted(reached.values(), key=lambda d: (modules[d.module], d.order))

    def takes_rngs(self, name: str) -> bool:
        """Whether building or calling a definition makes use of a key stream."""
        definition = self.definitions[name]
        if definition.takes_rngs:
            return True
        return any(self.takes_rngs(b) for b in definition.bases if b in self.definitions)

    def _module_ranks(self) -> dict[str, tuple[int, str]]:
        """Modules in the order of their imports: what is imported comes first."""
        needs: dict[str, set[str]] = {}
        for definition in self.definitions.values():
            used = {self.definitions[u].module for u in definition.uses}
            needs.setdefault(definition.module, set()).update(used - {definition.module})
        ranks: dict[str, int] = {}

        def rank(module: str, seen: tuple[str, ...]) -> int:
            if module not in ranks:
                below = [rank(m, (*seen, module)) for m in sorted(needs[module]) if m not in seen]
                ranks[module] = 1 + max(below, default=-1)
            return ranks[module]

        return {module: (rank(module, ()), module) for module in sorted(needs)}


@functools.cache
def load() -> Library:
    """Read the prelude's modules."""
    definitions: dict[str, Definition] = {}
    imports: dict[str, str] = {}
    sources = [
        SourceFile(path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(PRELUDE.glob("*.py"))
        if path.stem != "__init__"
    ]
    names = {name for source in sources for name, _ in _top_level(source.tree)}
    for source in sources:
        local = _imports(source.tree)
        imports.update(local)
        for name, node in _top_level(source.tree):
            definitions[name] = _define(source, name, node, names, local)
    return Library(definitions, imports)


def _top_level(tree: ast.Module) -> list[tuple[str, ast.stmt]]:
    found: list[tuple[str, ast.stmt]] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append((node.name, node))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.append((node.targets[0].id, node))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append((node.target.id, node))
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    """Local name → import statement, for what is not the prelude itself."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                as_name = f" as {alias.asname}" if alias.asname else ""
                found[alias.asname or alias.name] = f"import {alias.name}{as_name}"
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("ferry"):
            for alias in node.names:
                as_name = f" as {alias.asname}" if alias.asname else ""
                found[alias.asname or alias.name] = (
                    f"from {node.module} import {alias.name}{as_name}"
                )
    return found


def _define(
    source: SourceFile, name: str, node: ast.stmt, names: set[str], imports: Mapping[str, str]
) -> Definition:
    read = {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not source.is_local(n, n.id)
    }
    start, end = source.span(node)
    bases = (
        tuple(b.id for b in node.bases if isinstance(b, ast.Name))
        if isinstance(node, ast.ClassDef)
        else ()
    )
    return Definition(
        name=name,
        module=source.path,
        text=_with_leading_comment(source.text, start, end),
        order=(source.path, start),
        is_class=isinstance(node, ast.ClassDef),
        bases=bases,
        uses=frozenset((read & names) - {name}),
        imports=frozenset(read & set(imports)),
        takes_rngs=_takes_rngs(node),
        parameters=_parameter_names(node),
    )


def _with_leading_comment(text: str, start: int, end: int) -> str:
    """The definition with the comment lines directly above it."""
    while True:
        above = text.rfind("\n", 0, max(start - 1, 0)) + 1
        line = text[above : max(start - 1, 0)]
        if start == 0 or not line.startswith("#"):
            return text[start:end]
        start = above


def _takes_rngs(node: ast.stmt) -> bool:
    """Whether a function, or a class's constructor, reads its parameter ``rngs``."""
    function: ast.AST | None = node
    if isinstance(node, ast.ClassDef):
        function = next(
            (f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None
        )
    if not is_function(function) or "rngs" not in _parameter_names(function):
        return False
    return any(
        isinstance(n, ast.Name) and n.id == "rngs" and isinstance(n.ctx, ast.Load)
        for n in ast.walk(function)
    )


def _parameter_names(node: ast.AST | None) -> tuple[str, ...]:
    if not isinstance(node, ast.FunctionDef):
        return ()
    args = node.args
    return tuple(a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs))
