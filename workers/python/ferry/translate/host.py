"""Tensors that only carry Python numbers, as in the schedules of a constructor.

``[x.item() for x in torch.linspace(0, rate, depth)]`` reads numbers, not tensors; under
jax's abstract construction they have no value, so such ranges become NumPy's.
"""

from __future__ import annotations

import ast

from ferry.translate.translator import FileTranslator

RANGES = frozenset({"torch.linspace", "torch.arange"})


def reads_as_numbers(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a range is made only to read its elements: ``[x.item() for x in range]``."""
    if any(tr.is_tensor(a) for a in node.args):
        return False
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr in ("tolist", "numpy")
    if not isinstance(parent, ast.comprehension) or not isinstance(parent.target, ast.Name):
        return False
    inside = [n for n in ast.walk(tr.source.parents[parent]) if isinstance(n, ast.Name)]
    uses = [n for n in inside if n.id == parent.target.id and isinstance(n.ctx, ast.Load)]
    return all(_is_item_of(tr, n) for n in uses)


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
