"""How the axes of a piece may lie in a variable: the layouts that layers of other libraries use.

`transforms` lists the ways in which a piece becomes an array of a given shape. Where the port's
program tells what the axes of the variable are for (`ferry.check.uses`), those ways come first that
agree with it, and the others carry the number of axes in which they do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations
from typing import Any, NamedTuple

from ferry.check.pieces import Ops, Piece, Shape, split_role
from ferry.check.uses import IN, INDEX, OUT, SPACE, Use, factors

#: Axes of more than so many dimensions are not permuted at will.
MOST_AXES = 4

#: Pairs of what an axis is for in the source and in the port that exclude each other.
EXCLUDED = {(IN, OUT), (OUT, IN), (IN, SPACE), (OUT, SPACE), (INDEX, OUT), (OUT, INDEX)}


class Way(NamedTuple):
    """Operations that lay a piece into a variable; `against` counts what speaks against them."""

    ops: Ops
    against: float


def transforms(piece: Piece, target: Shape, leaf: str, use: Use | None = None) -> list[Way]:
    """The ways in which a piece may become an array of the shape `target`, likeliest first."""
    if piece.layers:
        if target[:1] != (piece.layers,):
            return []
        target, shift = target[1:], 1
    else:
        shift = 0
    laid = list(_layouts(piece))
    found = [ops for ops, shape in laid if shape == target]
    if leaf not in ("kernel", "embedding"):
        found.sort(key=len)  # a port that keeps torch's name keeps torch's layout
    if piece.role != "bias" or split_role(leaf)[1] in ("bias", ""):
        for ops, shape in laid:
            if shape != target and _regroups(shape, target):
                found.append([*ops, {"op": "reshape", "shape": list(target)}])
    found += _by_heads(piece, target)
    if piece.kind.startswith("ConvTranspose") and piece.role == "weight":
        found += _grouped(piece.shape, target)
    if not found and len(piece.shape) <= MOST_AXES and piece.role != "bias":
        found += _permuted(piece.shape, target)
    ways = [Way(ops, _against(piece, ops, use, shift)) for ops in found]
    return sorted(ways, key=lambda way: way.against)


def _layouts(piece: Piece) -> Iterator[tuple[Ops, Shape]]:
    """The layouts that layers use for a piece, likeliest first."""
    rank = len(piece.shape)
    plain = list(range(rank))
    space = plain[2:]
    orders: list[list[int]] = [plain]
    flips = False
    if piece.role == "weight" and piece.kind.startswith("ConvTranspose") and rank > 2:
        orders, flips = [[*space, 0, 1], [*space, 1, 0], plain, [1, 0, *space]], True
    elif piece.role == "weight" and piece.kind.startswith("Conv") and rank > 2:
        orders = [[*space, 1, 0], plain, [0, *space, 1], [1, *space, 0]]
    elif piece.kind == "Linear" and piece.role == "weight" and rank == 2:
        orders = [[1, 0], plain]
    elif piece.kind == "Bilinear" and rank == 3:
        orders = [plain, [1, 2, 0], [2, 1, 0], [0, 2, 1]]
    elif rank == 2 and piece.role != "bias":
        orders = [plain, [1, 0]]
    for axes in orders:
        ops: Ops = [] if axes == plain else [{"op": "permute", "axes": axes}]
        shape = tuple(piece.shape[axis] for axis in axes)
        turned: Ops = [{"op": "flip", "axes": [axes.index(axis) for axis in space]}]
        if flips and axes == [*space, 0, 1]:
            yield [*ops, *turned], shape
            yield ops, shape
        else:
            yield ops, shape
            if flips:
                yield [*ops, *turned], shape


def _regroups(shape: Shape, target: Shape) -> bool:
    """Whether one axis of `shape` is divided in `target`, or some are merged."""
    if math.prod(shape) != math.prod(target):
        return False
    groups = factors(shape, target)
    whole = sum(len(news) for _, news in groups) == sum(size != 1 for size in target)
    clean = all(len(olds) == 1 or len(news) == 1 for olds, news in groups)
    return whole and clean and sum(len(news) > 1 for _, news in groups) <= 1


def _by_heads(piece: Piece, target: Shape) -> list[Ops]:
    """A projection with an axis divided into heads, which stand apart from their width."""
    if piece.kind != "Linear" or len(piece.shape) != 2 or len(target) != 3:
        return []
    out, into = piece.shape
    found: list[Ops] = []
    for heads in dict.fromkeys(target):
        for divided in (
            (heads, out // heads, into) if out % heads == 0 else None,
            (out, heads, into // heads) if into % heads == 0 else None,
        ):
            if divided is None or math.prod(divided) != out * into:
                continue
            for axes in ((0, 2, 1), (1, 0, 2), (1, 2, 0)):
                if tuple(divided[axis] for axis in axes) == target:
                    steps: Ops = [{"op": "reshape", "shape": list(divided)}]
                    found.append([*steps, {"op": "permute", "axes": list(axes)}])
    return found


def _grouped(shape: Shape, target: Shape) -> list[Ops]:
    """A transposed convolution's kernel in several groups, which flax keeps by output."""
    into, out, *space = shape
    groups = target[-1] // out if len(target) == len(shape) and target[-1] % out == 0 else 1
    if groups < 2 or into % groups or target != (*space, into // groups, out * groups):
        return []
    axes = [*range(3, len(shape) + 1), 1, 0, 2]
    return [
        [
            {"op": "reshape", "shape": [groups, into // groups, out, *space]},
            {"op": "permute", "axes": axes},
            {"op": "reshape", "shape": list(target)},
            {"op": "flip", "axes": list(range(len(space)))},
        ]
    ]


def _permuted(shape: Shape, target: Shape) -> list[Ops]:
    """Any order of the axes that gives the shape."""
    orders = (o for o in permutations(range(len(shape))) if len(shape) == len(target))
    fitting = (o for o in orders if tuple(shape[axis] for axis in o) == target)
    return [[{"op": "permute", "axes": list(order)}] for order in fitting]


def _against(piece: Piece, ops: Ops, use: Use | None, shift: int) -> float:
    """In how many axes the port uses a variable otherwise than the source uses the piece."""
    if use is None or not piece.axes:
        return 0
    count = 0.0
    for axis, own in enumerate(_traced(piece.shape, ops)):
        seen = use.roles.get(axis + shift)
        meant = {piece.axes[source] for source in own if piece.shape[source] != 1}
        count += bool(meant) and seen is not None and all((m, seen) in EXCLUDED for m in meant)
    if piece.kind.startswith("Conv") and piece.role == "weight" and use.flipped is not None:
        turned = any(op["op"] == "flip" for op in ops) != use.flipped
        count += turned != piece.kind.startswith("ConvTranspose")
    return count


def _traced(shape: Shape, ops: Ops) -> list[tuple[int, ...]]:
    """The axes of `shape` that each axis runs along after `ops`."""
    axes: list[tuple[int, ...]] = [(axis,) for axis in range(len(shape))]
    sizes: list[Any] = list(shape)
    for op in ops:
        if op["op"] == "permute":
            axes, sizes = [axes[a] for a in op["axes"]], [sizes[a] for a in op["axes"]]
        elif op["op"] == "reshape":
            after: list[tuple[int, ...]] = [()] * len(op["shape"])
            for olds, news in factors(sizes, op["shape"]):
                for new in news:
                    after[new] = tuple(own for old in olds for own in axes[old])
            axes, sizes = after, list(op["shape"])
    return axes
