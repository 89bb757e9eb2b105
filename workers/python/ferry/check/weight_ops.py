"""The operations of a weight map: their shapes, and the way back.

Forward they are `load_weights.OPS`, the code that every bundle carries. Here each one is
*bound* to the shapes it meets, which checks its arguments and yields its `Pull`: the way from
an array of the target's shape back to the arrays it came from. One walk back serves

* gradients (`Way.ADJOINT`): the map is linear, so this is its transpose;
* state (`Way.INVERSE`): the values themselves, where the operation can be undone;
* coverage (`Way.COUNT`): which elements of a source were used, and how often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import jax.numpy as jnp
import numpy as np

from ferry.check.errors import WeightMapError
from ferry.deliver.bundle.load_weights import Array

Shape = tuple[int, ...]
Json = Mapping[str, Any]


class Way(Enum):
    """What is carried back through the map."""

    ADJOINT = "adjoint"
    INVERSE = "inverse"
    COUNT = "count"


Pull = Callable[[list[Array], Way], list[Array]]


@dataclass(frozen=True)
class Bound:
    """An operation that met its operands: the shapes it yields and its way back."""

    shapes: list[Shape]
    pull: Pull
    invertible: bool = True


def bind(op: Json, shapes: list[Shape], where: str) -> Bound:
    """Check `op` against the shapes of its operands; `where` names the entry in messages."""
    name = op.get("op")
    if not isinstance(name, str) or name not in BINDERS:
        raise WeightMapError("unknown_op", f"{where}: there is no operation {name!r}")
    binder, fields = BINDERS[name]
    if set(op) != {"op", *fields}:
        wanted = ", ".join(fields) or "no fields"
        raise WeightMapError("bad_op", f"{where}: {name} takes {wanted}, got {sorted(op)}")
    return binder(op, shapes, f"{where}: {name}")


def _permute(op: Json, shapes: list[Shape], where: str) -> Bound:
    axes = _ints(op["axes"], where)
    for shape in shapes:
        if sorted(axes) != list(range(len(shape))):
            raise WeightMapError("bad_axis", f"{where} {axes} does not permute shape {shape}")
    back = np.argsort(axes)
    return Bound(
        [tuple(shape[axis] for axis in axes) for shape in shapes],
        lambda values, way: [np.transpose(value, back) for value in values],
    )


def _reshape(op: Json, shapes: list[Shape], where: str) -> Bound:
    wanted = tuple(_ints(op["shape"], where))
    for shape in shapes:
        if min(wanted, default=0) < 0 or math.prod(wanted) != math.prod(shape):
            raise WeightMapError("shape", f"{where}: {shape} can't become {wanted}")
    return Bound(
        [wanted] * len(shapes),
        lambda values, way: [v.reshape(s) for v, s in zip(values, shapes, strict=True)],
    )


def _slice(op: Json, shapes: list[Shape], where: str) -> Bound:
    axis, start, stop = _ints([op["axis"], op["start"], op["stop"]], where)
    spans: list[tuple[slice, ...]] = []
    for shape in shapes:
        _check_axis(axis, shape, where)
        if not 0 <= start < stop <= shape[axis]:
            message = f"{where} {start}:{stop} is outside axis {axis} of shape {shape}"
            raise WeightMapError("slice_range", message)
        spans.append((slice(None),) * axis + (slice(start, stop),))

    def pull(values: list[Array], way: Way) -> list[Array]:
        placed = [np.zeros(shape, v.dtype) for shape, v in zip(shapes, values, strict=True)]
        for whole, span, value in zip(placed, spans, values, strict=True):
            whole[span] = value
        return placed

    return Bound([(*s[:axis], stop - start, *s[axis + 1 :]) for s in shapes], pull)


def _concat(op: Json, shapes: list[Shape], where: str) -> Bound:
    (axis,) = _ints([op["axis"]], where)
    for shape in shapes:
        _check_axis(axis, shape, where)
        if _without(shape, axis) != _without(shapes[0], axis) or len(shape) != len(shapes[0]):
            raise WeightMapError("shape", f"{where} of {shapes} on axis {axis}: shapes differ")
    sizes = [shape[axis] for shape in shapes]
    cuts = np.cumsum(sizes)[:-1]
    return Bound(
        [(*shapes[0][:axis], sum(sizes), *shapes[0][axis + 1 :])],
        lambda values, way: np.split(values[0], cuts, axis=axis),
    )


def _add(op: Json, shapes: list[Shape], where: str) -> Bound:
    if len(set(shapes)) != 1:
        raise WeightMapError("shape", f"{where} of {shapes}: shapes differ")
    return Bound(
        [shapes[0]], lambda values, way: [values[0]] * len(shapes), invertible=len(shapes) == 1
    )


def _scale(op: Json, shapes: list[Shape], where: str) -> Bound:
    by = op["by"]
    if not isinstance(by, (int, float)) or isinstance(by, bool) or not math.isfinite(by):
        raise WeightMapError("bad_op", f"{where}: by must be a finite number, got {by!r}")

    def pull(values: list[Array], way: Way) -> list[Array]:
        if way is Way.COUNT:
            return values
        return [v * by if way is Way.ADJOINT else v / by for v in values]

    return Bound(shapes, pull, invertible=by != 0)


def _flip(op: Json, shapes: list[Shape], where: str) -> Bound:
    axes = tuple(_ints(op["axes"], where))
    for shape in shapes:
        for axis in axes:
            _check_axis(axis, shape, where)
    return Bound(shapes, lambda values, way: [np.flip(value, axes) for value in values])


def _cast(op: Json, shapes: list[Shape], where: str) -> Bound:
    try:
        jnp.dtype(op["dtype"])
    except TypeError as error:
        raise WeightMapError("bad_op", f"{where}: {error}") from error
    return Bound(shapes, lambda values, way: values)


def _constant(op: Json, shapes: list[Shape], where: str) -> Bound:
    shape = tuple(_ints(op["shape"], where))
    if not isinstance(op["value"], (int, float)) or min(shape, default=0) < 0:
        raise WeightMapError("bad_op", f"{where}: needs a number and a shape")
    _cast(op, shapes, where)
    return Bound([*shapes, shape], lambda values, way: values[:-1])


Binder = Callable[[Json, list[Shape], str], Bound]

BINDERS: dict[str, tuple[Binder, tuple[str, ...]]] = {
    "permute": (_permute, ("axes",)),
    "reshape": (_reshape, ("shape",)),
    "slice": (_slice, ("axis", "start", "stop")),
    "concat": (_concat, ("axis",)),
    "add": (_add, ()),
    "scale": (_scale, ("by",)),
    "flip": (_flip, ("axes",)),
    "cast": (_cast, ("dtype",)),
    "constant": (_constant, ("value", "shape", "dtype")),
}


def _ints(value: Any, where: str) -> list[int]:
    """`value` as a list of whole numbers."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise WeightMapError("bad_op", f"{where}: {value!r} is not a list of whole numbers")
    for item in value:
        if not isinstance(item, int) or isinstance(item, bool):
            raise WeightMapError("bad_op", f"{where}: {item!r} is not a whole number")
    return list(value)


def _check_axis(axis: int, shape: Shape, where: str) -> None:
    if not 0 <= axis < len(shape):
        raise WeightMapError("bad_axis", f"{where}: shape {shape} has no axis {axis}")


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
