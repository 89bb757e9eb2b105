"""A plain call of the model, operation by operation, against the compiled one.

All other stages trace the candidate; its users may also call it outside of `jit`, where Python
sees real arrays. A plain call compiles each kind of operation on its own, about 15 ms each,
so it is made for small programs and for every candidate whose text could tell a trace
from a plain call.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from ferry.check.precision import set_option
from ferry.step import StepError

#: Up to so many operations a plain call is made of any candidate.
FEW_OPERATIONS = 48

#: The plain call may be this much further from the float64 result than the compiled one, or
#: this fraction of the range where that is very close: both are correct roundings.
FACTOR, FLOOR = 32.0, 2.0**-17

#: Names by which Python code tells a traced array, or a trace, from a real one.
TELLING_NAMES = frozenset(
    {
        "Tracer", "_src", "trace_state_clean", "get_opaque_trace_state", "trace_ctx", "is_concrete",
        "__class__", "__repr__", "addressable_data", "is_fully_addressable", "block_until_ready",
        "unsafe_buffer_pointer", "__array__", "__dict__", "suppress", "getattr_static", "is_deleted",
        "is_ready", "devices", "sharding", "committed", "singledispatch", "getrefcount",
    }
)  # fmt: skip

#: Functions that do so when they are called with an array.
TELLING_CALLS = frozenset({"type", "hasattr", "dir", "vars", "repr", "str", "id", "format"})


def may_tell_traces(trees: Iterable[ast.Module]) -> bool:
    """Whether a candidate's text has anything by which it could know that it is traced."""
    return any(_tells(node) for tree in trees for node in _outside_constructors(tree))


def _outside_constructors(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.FunctionDef) and child.name == "__init__"):
            yield child
            yield from _outside_constructors(child)


def _tells(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return True
    if isinstance(node, ast.Name):
        return node.id in TELLING_NAMES
    if isinstance(node, ast.Attribute):
        return node.attr in TELLING_NAMES
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    first = node.args[0] if node.args else None
    if node.func.id == "type":
        return len(node.args) == 1 and not _is_self(first)
    if not isinstance(first, ast.Name) or _is_self(first):
        return False
    if node.func.id == "getattr":
        return len(node.args) != 2 or not isinstance(node.args[1], ast.Constant)
    return node.func.id in TELLING_CALLS


def _is_self(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@contextmanager
def quick_operations() -> Iterator[None]:
    """Compile single operations without optimisation."""
    before = jax.config.values["jax_disable_most_optimizations"]
    set_option("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        set_option("jax_disable_most_optimizations", before)


def compare(
    plain: Mapping[str, Any], compiled: Mapping[str, Any], truth: Mapping[str, Any]
) -> None:
    """Raise if a plain call gave something else than the compiled one.

    `truth` has the float64 outputs of the same call, where they are known.
    """
    if plain.keys() != compiled.keys():
        raise _differ("other outputs")
    for name, array in compiled.items():
        own, other = _wide(plain[name]), _wide(array)
        if own.shape != other.shape:
            raise _differ(f"{name} has another shape")
        scale = np.abs(other[np.isfinite(other)]).max(initial=0)
        known = truth.get(name)
        rounding = FLOOR * scale
        if known is not None and known.shape == other.shape:
            rounding = max(rounding, FACTOR * _distance(other, _wide(known)))
        if not _distance(own, other) <= rounding:
            raise _differ(f"{name} by {_distance(own, other):.3g} in a range of {scale:.3g}")


def _wide(array: Any) -> np.ndarray[Any, Any]:
    value = np.asarray(array)
    return value if np.iscomplexobj(value) else value.astype(np.float64)


def _distance(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """The largest difference; NaN meets NaN and an infinity itself."""
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0, np.abs(first - second))
    return float(np.max(gaps, initial=0))


def _differ(what: str) -> StepError:
    message = f"called outside of jit the candidate answers differently: {what}"
    return StepError("candidate_error", message, why="eager_differs")
