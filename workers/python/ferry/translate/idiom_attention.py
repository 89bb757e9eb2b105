"""Calls of ``nn.MultiheadAttention`` that ``nnx.MultiHeadAttention`` can take.

torch returns the output and the attention weights, Flax the output alone; torch's boolean masks
drop where True, Flax's keep. Only calls whose weights nobody reads and whose masks are boolean are carried over.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ferry.translate.ops import BindError, Op, bind
from ferry.translate.project import Unit

LAYER = "torch.nn.MultiheadAttention"
_CALL = Op(
    "",
    "query key value key_padding_mask=None need_weights=True attn_mask=None "
    "average_attn_weights=True is_causal=False",
    "",
)


@dataclass(frozen=True)
class Attends:
    """One call: its inputs without repetitions, the two masks, and the node that the new call replaces.

    `target` is the name that takes the output where source unpacks the pair.
    """

    inputs: tuple[ast.expr, ...]
    attn_mask: ast.expr | None
    padding_mask: ast.expr | None
    replaced: ast.AST
    target: ast.expr | None = None


def read(unit: Unit, node: ast.Call) -> Attends | None:
    """What a call asks for, or None where Flax has no counterpart."""
    try:
        values = bind(_CALL, None, node).values
    except BindError:
        return None
    masks = [values.get("attn_mask"), values.get("key_padding_mask")]
    if not all(_is_mask(unit, m, rank) for m, rank in zip(masks, (2, 2), strict=True)):
        return None
    causal = values.get("is_causal")
    if causal is not None and not (isinstance(causal, ast.Constant) and not causal.value):
        return None
    if (unit.facts.of(values["query"]) or {}).get("ndim") != 3:
        return None
    inputs = _without_repetition([values["query"], values["key"], values["value"]])
    place = _place(unit, node)
    if place is None:
        return None
    attn_mask, padding = (m if m is not None and _is_tensor(unit, m) else None for m in masks)
    return Attends(inputs, attn_mask, padding, *place)


def _is_tensor(unit: Unit, node: ast.expr) -> bool:
    return unit.facts.kinds(node) == {"tensor"}


def _is_mask(unit: Unit, node: ast.expr | None, rank: int) -> bool:
    """Whether a mask is absent, or always a boolean tensor of the given rank."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return True
    if unit.facts.kinds(node) == {"none"}:
        return True
    fact = unit.facts.of(node) or {}
    return _is_tensor(unit, node) and fact.get("dtype") == "bool" and fact.get("ndim") == rank


def _without_repetition(inputs: list[ast.expr]) -> tuple[ast.expr, ...]:
    """Flax takes an input that is left out to be the one before it."""
    while len(inputs) > 1 and _same_name(inputs[-1], inputs[-2]):
        inputs.pop()
    return tuple(inputs)


def _same_name(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id


def _place(unit: Unit, node: ast.Call) -> tuple[ast.AST, ast.expr | None] | None:
    """The expression or statement around a call that takes the first of its two results."""
    parent = unit.source.parents[node]
    if isinstance(parent, ast.Subscript) and parent.value is node:
        first = isinstance(parent.slice, ast.Constant) and parent.slice.value == 0
        return (parent, None) if first else None
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1:
        return None
    target = parent.targets[0]
    if not isinstance(target, ast.Tuple) or len(target.elts) != 2:
        return None
    output, weights = target.elts
    unread = isinstance(weights, ast.Name) and not _is_read(unit, weights)
    return (parent, output) if unread else None


def _is_read(unit: Unit, name: ast.Name) -> bool:
    function = unit.source.function_of(name)
    return function is None or any(
        isinstance(n, ast.Name) and n.id == name.id and isinstance(n.ctx, ast.Load)
        for n in ast.walk(function)
    )
