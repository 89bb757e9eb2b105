"""Statements that torch runs without gradients: what they compute is held fixed.

`FileTranslator.detached` is "block" while the body of ``with torch.no_grad():`` is rendered, and
"function" in a function decorated so; each statement's text then passes through `hold`.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferry.translate.translator import FileTranslator

NO_GRAD = frozenset({"torch.no_grad", "torch.inference_mode"})
_WRITE = re.compile(r"(?P<left>[\w.\[\]]+) (?P<sign>\+|-|\*|/|\*\*)?= (?P<right>.*)", re.S)


def hold(tr: FileTranslator, node: ast.stmt, text: str) -> str:
    """The text of a statement whose results get no gradient.

    Where a model is built nothing has a gradient.
    """
    if tr.in_constructor(node) or _makes_parameter(tr, node):
        return text
    if isinstance(node, ast.Return):
        return f"return {held(tr, node.value, text.removeprefix('return').lstrip())}".rstrip()
    if tr.detached == "function" and _stays_inside(node):
        return text
    if isinstance(node, ast.Assign) and not _is_write(tr, node):
        left, equals, right = text.partition(" = ")
        return f"{left} = {held(tr, node.value, right)}" if equals else text
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)):
        return _hold_write(tr, node, text)
    return text


def _makes_parameter(tr: FileTranslator, node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Assign) else None
    dotted = tr.names.torch(value.func) if isinstance(value, ast.Call) else None
    return dotted is not None and dotted.endswith(".Parameter")


def _stays_inside(node: ast.stmt) -> bool:
    """Whether a statement only sets local names, which leave a function by its return."""
    written = _written(node)
    parts = written.elts if isinstance(written, ast.Tuple) else [written]
    return all(isinstance(p, ast.Name) for p in parts)


def held(tr: FileTranslator, value: ast.expr | None, text: str) -> str:
    """A value's text, with its arrays held fixed."""
    if value is None:
        return text
    if isinstance(value, ast.Tuple):
        tensors = [e for e in value.elts if not isinstance(e, ast.Starred) and tr.is_tensor(e)]
        return tr.keep(value, {e: f"lax.stop_gradient({tr.render(e)})" for e in tensors})
    return f"lax.stop_gradient({text})" if _holds_arrays(tr, value) else text


def _holds_arrays(tr: FileTranslator, value: ast.expr) -> bool:
    """Whether a value is a tensor, or a tree that has tensors and no texts as far as it was seen."""
    if tr.is_tensor(value):
        return True
    fact = tr.facts.of(value)
    if fact is None:
        called = isinstance(value, ast.Call) and isinstance(value.func, (ast.Name, ast.Attribute))
        return called and "module" in tr.kinds(value.func)  # type: ignore[attr-defined]
    kinds = {item["kind"] for item in fact.get("items") or ()}
    if fact["kind"] in ("tuple", "list") and "tensor" in kinds:
        return kinds <= {"tensor", "none"}
    return fact["kind"] in _TREES and bool(kinds or fact["kind"] == "dict") and kinds <= _TREES


_TREES = frozenset({"tuple", "list", "dict"})


def _is_write(tr: FileTranslator, node: ast.Assign) -> bool:
    """Whether an assignment writes into a tensor that is there already."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript):
        return tr.is_tensor(target.value)
    return tr.is_variable(target)


def _hold_write(tr: FileTranslator, node: ast.stmt, text: str) -> str:
    """A write in place: the value changes, the gradient of what is written does not."""
    match = _WRITE.fullmatch(text)
    if match is None:
        if isinstance(node, ast.Expr) and _uses_tensors(tr, node):
            return _hold_arguments(tr, node.value)
        return text
    left, sign, right = match["left"], match["sign"], match["right"]
    if sign in ("+", "-"):
        return f"{left} {sign}= lax.stop_gradient({right})"
    if sign:
        right = f"{left} {sign} ({right})"
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    if target is not None and isinstance(target, ast.Attribute) and not tr.is_variable(target):
        return text
    if right.startswith("with_data("):
        return text
    if _has_no_gradient(tr, node):
        return f"{left} = lax.stop_gradient({right})"
    return f"{left} = {tr.use('with_data')}({left}, {right})"


def _hold_arguments(tr: FileTranslator, value: ast.expr) -> str:
    """A call without a result that collects values: ``values.append(x)``."""
    assert isinstance(value, ast.Call)
    collects = isinstance(value.func, ast.Attribute) and value.func.attr in _COLLECTS
    if not collects:
        tr.refuse(value, "a call without a result, in a block without gradients")
    return tr.keep(value, {a: held(tr, a, tr.render(a)) for a in value.args})


_COLLECTS = frozenset(["append", "insert", "extend"])


def _uses_tensors(tr: FileTranslator, node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Call) and any(
        tr.is_tensor(n) for n in ast.walk(node) if isinstance(n, ast.expr)
    )


def _has_no_gradient(tr: FileTranslator, node: ast.stmt) -> bool:
    """Whether what a statement writes is a buffer, or was made under the same switch."""
    written = _written(node)
    if isinstance(written, ast.Attribute):
        return "parameter" not in tr.project.tensor_kinds.get(written.attr, {"parameter"})
    if not isinstance(written, ast.Name):
        return False
    scope = next(
        (a for a in tr.source.ancestors(node) if isinstance(a, (ast.With, ast.FunctionDef))), None
    )
    return scope is not None and any(
        isinstance(n, ast.Name) and n.id == written.id and isinstance(n.ctx, ast.Store)
        for n in ast.walk(scope)
        if n is not written
    )


def _written(node: ast.stmt) -> ast.AST:
    """The name or attribute under the subscripts and methods of what is written."""
    at: ast.AST = node
    if isinstance(node, ast.Assign):
        at = node.targets[0]
    elif isinstance(node, ast.AugAssign):
        at = node.target
    elif isinstance(node, ast.Expr):
        at = node.value
    while True:
        if isinstance(at, ast.Call):
            at = at.func.value if isinstance(at.func, ast.Attribute) else at.func
        elif isinstance(at, ast.Subscript) or (isinstance(at, ast.Attribute) and at.attr == "data"):
            at = at.value
        else:
            return at
