"""What the text of a candidate says, without importing it: nothing here needs jax."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ferry.files import module_name

Json = Mapping[str, Any]


class CandidateText:
    """The parsed files of a candidate."""

    def __init__(self, files: Sequence[Json]) -> None:
        self._trees: dict[str, ast.Module] = {}
        for file in files:
            if file["path"].endswith(".py"):
                try:
                    self._trees[module_name(file["path"])] = ast.parse(file["content"])
                except (SyntaxError, ValueError):
                    continue

    def names(self, module: str) -> set[str]:
        """The names that a module defines or imports at its top level."""
        found: set[str] = set()
        tree = self._trees.get(module)
        for node in tree.body if tree else ():
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update((a.asname or a.name).partition(".")[0] for a in node.names)
            elif isinstance(node, ast.Assign):
                found.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        return found

    def takes_rngs(self, name: str) -> bool | None:
        """Whether the class `name` takes `rngs`; None where its constructor is not in the text."""
        node = self._class(name.rpartition(".")[2])
        if node is None:
            return None
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                arguments = part.args
                named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                return arguments.kwarg is not None or "rngs" in {a.arg for a in named}
        for base in node.bases:
            inherited = self.takes_rngs(ast.unparse(base))
            if inherited is not None:
                return inherited
        return False

    def fixed_float32(self) -> str | None:
        """Where float32 is fixed in a way that a test can't widen, None if nowhere.

        A test can replace `jnp.float32` where a function looks it up as it runs; it can't reach
        strings, numpy's float32, imported names, and what is evaluated at import.
        """
        for module, tree in self._trees.items():
            for node in _unreachable_float32(tree):
                return f"{module}:{getattr(node, 'lineno', 1)}"
        return None

    def _class(self, name: str) -> ast.ClassDef | None:
        for tree in self._trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return node
        return None


def _unreachable_float32(tree: ast.Module) -> Iterator[ast.AST]:
    late, on_host = _evaluated_late(tree), _on_host(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            widened = ast.unparse(node.value) in ("jnp", "jax.numpy") and id(node) in late
            fixed = node.attr == "float32" and not widened and id(node) not in on_host
        elif isinstance(node, ast.ImportFrom):
            fixed = "float32" in {alias.name for alias in node.names}
        else:
            fixed = isinstance(node, ast.Constant) and node.value == "float32"
        if fixed:
            yield node


def _on_host(tree: ast.Module) -> set[int]:
    """The dtypes that numpy itself is asked for: ``np.float32(…)``, ``np.floor(…).astype(…)``.

    They compute constants, which the proof did not widen either.
    """
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("np.", "numpy.")):
            found.add(id(node.func))
            found.update(id(part) for part in [*node.args, *(k.value for k in node.keywords)])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value)
            if node.func.attr == "astype" and receiver.startswith(("np.", "numpy.", "(np.")):
                found.update(id(part) for part in node.args)
    return found


def _evaluated_late(tree: ast.Module) -> set[int]:
    """The nodes that are evaluated when a function runs, not when the file is imported."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.update(id(part) for statement in node.body for part in ast.walk(statement))
        elif isinstance(node, ast.Lambda):
            found.update(id(part) for part in ast.walk(node.body))
        elif isinstance(node, ast.AnnAssign):
            found.update(id(part) for part in ast.walk(node.annotation))
    return found
