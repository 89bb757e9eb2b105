"""Tensors that only carry Python numbers, as in the schedules of a constructor.

``[x.item() for x in torch.linspace(0, rate, depth)]`` reads numbers, not tensors; under
jax's abstract construction they have no value, so such ranges become NumPy's.
"""

from __future__ import annotations

import ast

from ferry.translate.ops import Op
from ferry.translate.translator import FileTranslator

# the ranges that torch and NumPy count alike; torch's are float32 where a model is built
RANGES = {
    "torch.arange": Op(
        "torch.arange",
        "start end=None step=None * dtype:ignore=None device:ignore=None",
        "np.arange({start}{end?, %}{step?, %})",
    ),
    "torch.linspace": Op(
        "torch.linspace",
        "start end steps * dtype:ignore=None device:ignore=None",
        "np.linspace({start}, {end}, {steps}, dtype=np.float32)",
    ),
}


def reads_as_numbers(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a range is made only to read its elements.

    So it is in ``[x.item() for x in range]``, and where a loop over it makes functions that
    keep the element.
    """
    if any(tr.is_tensor(a) for a in node.args):
        return False
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr in ("tolist", "numpy")
    if not isinstance(parent, ast.comprehension):
        return _feeds_closures(tr, node)
    if not isinstance(parent.target, ast.Name):
        return False
    inside = [n for n in ast.walk(tr.source.parents[parent]) if isinstance(n, ast.Name)]
    uses = [n for n in inside if n.id == parent.target.id and isinstance(n.ctx, ast.Load)]
    return all(_is_item_of(tr, n) for n in uses)


def _feeds_closures(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a range, perhaps times numbers, is only looped over to make functions of its elements."""
    statement, function = tr.source.statement_of(node), tr.source.function_of(node)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    plain = (ast.Call, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant)
    parts = [
        n for n in ast.walk(statement.value) if not isinstance(n, (ast.keyword, ast.expr_context))
    ]
    if any(not isinstance(n, (*plain, ast.Name, ast.Attribute)) for n in parts):
        return False
    name = statement.targets[0].id
    loops = [tr.source.parents[n] for n in _reads(function or tr.source.tree, name)]
    return bool(loops) and all(isinstance(p, ast.For) and _keeps_in_functions(p) for p in loops)


def _keeps_in_functions(loop: ast.For) -> bool:
    """Whether all uses of a loop's variable are inside lambdas."""
    if not isinstance(loop.target, ast.Name):
        return False
    lambdas = [n for n in ast.walk(loop) if isinstance(n, ast.Lambda)]
    inside = {n for f in lambdas for n in _reads(f, loop.target.id)}
    return bool(inside) and all(n in inside for n in _reads(loop, loop.target.id))


def _reads(scope: ast.AST, name: str) -> list[ast.Name]:
    return [
        n
        for n in ast.walk(scope)
        if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
    ]


def _is_item_of(tr: FileTranslator, node: ast.Name) -> bool:
    parent = tr.source.parents.get(node)
    return isinstance(parent, ast.Attribute) and parent.attr == "item"


def is_host_value(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression is such a range, or an element of one."""
    if isinstance(node, ast.Call):
        return tr.names.torch(node.func) in RANGES and reads_as_numbers(tr, node)
    if not isinstance(node, ast.Name):
        return False
    for scope in tr.source.ancestors(node):
        for part in getattr(scope, "generators", []):
            if isinstance(part.target, ast.Name) and part.target.id == node.id:
                return is_host_value(tr, part.iter)
    return False
