"""Small questions about syntax that the closure and the cut both ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ferry.translate.source import SourceFile, is_function

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def called(decorator: ast.expr) -> ast.expr:
    """What a decorator names, without its arguments."""
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement, those of its handlers and cases too."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block
    for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield inner.body


def is_global(source: SourceFile, node: ast.Name) -> bool:
    """Whether a name that is read belongs to its module, or to Python."""
    if source.is_local(node, node.id):
        return False
    scopes = (a for a in source.ancestors(node) if is_function(a) or isinstance(a, ast.ClassDef))
    scope = next(scopes, None)
    if not isinstance(scope, ast.ClassDef) or node.id not in source.bound_names(scope):
        return True
    return any(node in ast.walk(part) for part in (*scope.bases, *scope.decorator_list))


def attributes(source: SourceFile, node: ast.AST) -> list[str]:
    """The attributes that are read of a name, from the inside out."""
    found: list[str] = []
    while isinstance(parent := source.parents.get(node), ast.Attribute):
        found.append(parent.attr)
        node = parent
    return found


def changes(node: ast.stmt, name: str) -> bool:
    """Whether a statement at the top of a module changes the value of a variable."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        return isinstance(func, ast.Attribute) and _root(func.value) == name
    if isinstance(node, ast.AugAssign):
        return _root(node.target) == name
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(not isinstance(t, (ast.Name, ast.Tuple)) and _root(t) == name for t in targets)


def member(node: ast.stmt) -> str | None:
    """The attribute that an assignment changes, in ``Name.attribute = value`` and what is below."""
    target: ast.AST | None = node.targets[0] if isinstance(node, ast.Assign) else None
    name = None
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        name = target.attr if isinstance(target, ast.Attribute) else None
        target = target.value
    return name


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
