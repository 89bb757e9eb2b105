"""What a name means in a file: a dotted name of torch, or of another package."""

from __future__ import annotations

import ast

from ferry.translate import library
from ferry.translate.source import SourceFile
from ferry.translate.table import CLASSES

_FOLD = {
    "torch.functional": "torch",
    "torch.special": "torch.special",
    "torch.nn.modules": "torch.nn",
    "torch.autograd.function": "torch.autograd",
    "einops.layers.torch": "torch.nn",
}
FUNCTIONAL = "torch.nn.functional"


def canonical(dotted: str) -> str:
    """One spelling for each torch name: modules of layers fold into ``torch.nn``."""
    parts = dotted.split(".")
    if parts[:3] == ["torch", "nn", "modules"] and len(parts) > 4:
        return f"torch.nn.{parts[-1]}"
    for old, new in _FOLD.items():
        if dotted.startswith(old + "."):
            return new + dotted[len(old) :]
    return dotted


def is_torch(dotted: str | None) -> bool:
    """Whether a dotted name belongs to torch."""
    return dotted is not None and (dotted == "torch" or dotted.startswith("torch."))


class Names:
    """The imports of one file; relative ones are made absolute."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self.imports: dict[str, str] = {}
        self.stars: list[ast.ImportFrom] = []
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split(".")[0]
                    self.imports[local] = alias.name if alias.asname else local
            elif isinstance(node, ast.ImportFrom):
                self._add_from(node)

    def _add_from(self, node: ast.ImportFrom) -> None:
        module = absolute_module(self._source.path, node)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(node)
            else:
                self.imports[alias.asname or alias.name] = f"{module}.{alias.name}"

    def resolve(self, node: ast.AST) -> str | None:
        """The dotted name that an expression of names and attributes stands for.

        Only names that reach an import count; a local variable hides one.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        if node.id not in self.imports:
            starred = self._starred(node)
            return canonical(".".join([starred, *reversed(parts)])) if starred else None
        if self._source.is_local(node, node.id) and not self._imported_inside(node):
            return None
        return canonical(".".join([self.imports[node.id], *reversed(parts)]))

    def _starred(self, node: ast.Name) -> str | None:
        """A layer that ``from torch.nn import *`` brought, unless the file binds its name."""
        if not self.stars or node.id in self._source.bound_names(self._source.tree):
            return None
        if self._source.is_local(node, node.id):
            return None
        dotted = f"torch.nn.{node.id}"
        definition = library.load().definitions.get(node.id)
        known = dotted in CLASSES or (definition is not None and definition.is_class)
        from_layers = any((star.module or "") == "torch.nn" for star in self.stars)
        return dotted if known and from_layers else None

    def torch(self, node: ast.AST) -> str | None:
        """As `resolve`, for names of torch only."""
        dotted = self.resolve(node)
        return dotted if is_torch(dotted) else None

    def _imported_inside(self, node: ast.Name) -> bool:
        """Whether the function around binds the name by an import and by nothing else."""
        for scope in self._source.ancestors(node):
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                imports = [
                    alias
                    for child in ast.walk(scope)
                    if isinstance(child, (ast.Import, ast.ImportFrom))
                    for alias in child.names
                    if (alias.asname or alias.name.split(".")[0]) == node.id
                ]
                stores = [
                    child
                    for child in ast.walk(scope)
                    if isinstance(child, ast.Name)
                    and child.id == node.id
                    and not isinstance(child.ctx, ast.Load)
                ]
                if imports and not stores:
                    return True
        return False


def absolute_module(path: str, node: ast.ImportFrom) -> str:
    """The module an import statement of the file `path` names."""
    if not node.level:
        return node.module or ""
    package = path.split("/")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def asked_name(node: ast.expr) -> tuple[ast.expr, str] | None:
    """What ``hasattr(value, "name")`` and ``"name" in dir(value)`` ask: the value and the name."""
    match node:
        case ast.Call(func=ast.Name("hasattr"), args=[value, ast.Constant(str() as name)]):
            return value, name
        case ast.Compare(
            left=ast.Constant(str() as name),
            ops=[ast.In()],
            comparators=[ast.Call(func=ast.Name("dir"), args=[value])],
        ):
            return value, name
    return None
