"""What relates pieces and variables to one another: words of names, turns, layers, families."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeVar

from ferry.check.pieces import RECURRENT, Piece, like_layers
from ferry.check.uses import Use

Json = Mapping[str, Any]
Item = TypeVar("Item", bound=Hashable)
Neighbours = dict[Item, list[Item]]


def execution(executed: Sequence[str]) -> Callable[[str], float]:
    """When the module that holds a tensor first ended, by the tensor's name; a tensor of a
    module that was not called by itself goes with the one around it."""
    first: dict[str, int] = {}
    for number, call in enumerate(executed):
        first.setdefault(call.rpartition("#")[0], number)

    def order(name: str) -> float:
        while "." in name:
            name = name.rpartition(".")[0]
            if name in first:
                return first[name]
        return len(executed)

    return order


def use_order(uses: Mapping[str, Use], name: str) -> float:
    return uses[name].order if name in uses else math.inf


def ranks(orders: Sequence[float]) -> list[float]:
    """The place of each, from 0 to 1, among all that are ordered so."""
    places = {order: place for place, order in enumerate(sorted(orders))}
    return [places[order] / max(len(orders), 1) for order in orders]


def before(items: Sequence[Item], key: Callable[[Item], tuple[float, str]]) -> Neighbours[Item]:
    """For each item those of the owner that is used right before its own."""
    owners: dict[str, list[Item]] = {}
    for item in sorted(items, key=key):
        owners.setdefault(key(item)[1], []).append(item)
    groups: list[list[Item]] = [[], *owners.values()]
    return {item: groups[i] for i, group in enumerate(groups[1:]) for item in group}


def distance(one: Sequence[str], other: Sequence[str]) -> float:
    """How far two names are from each other: by the words they share, and by their order."""
    both = (Counter(one) & Counter(other)).total()
    shared = 2 * both / max(len(one) + len(other), 1)
    return 1 - 0.8 * shared - 0.2 * SequenceMatcher(None, one, other, False).ratio()


def owner(piece: Piece) -> str:
    return piece.sources[0].rpartition(".")[0]


def same_form(piece: Piece, other: Piece) -> bool:
    return (piece.role, piece.shape) == (other.role, other.shape)


def alike(piece: Piece, other: Piece) -> bool:
    """Whether two pieces are at the same place of numbered layers."""
    return like_layers(piece)[1] == like_layers(other)[1]


def family(piece: Piece) -> tuple[Any, ...]:
    """What pieces of one layer that another library joins have in common."""
    last = piece.tokens[-1:] or ("",)
    recurrent = RECURRENT.search(piece.sources[0]) is not None
    fused = ("qkv",) if last[0] in ("q", "k", "v") else ()
    like = () if recurrent else piece.shape[1:]
    return (*piece.tokens[:-1], *fused), piece.role, piece.kind, like, bool(fused), recurrent


def runs(parts: list[Piece], left: list[Piece]) -> Iterator[list[Piece]]:
    """Parts that follow one another, most first, that have one of those left over."""
    for length in range(len(parts), 1, -1):
        for start in range(len(parts) - length + 1):
            run = parts[start : start + length]
            if any(part in left for part in run):
                yield run


def axes_to_join(parts: list[Piece]) -> Iterator[int]:
    for axis in range(len(parts[0].shape)):
        others = {(*p.shape[:axis], *p.shape[axis + 1 :]) for p in parts}
        if len(others) == 1:
            yield axis


def other_bias(piece: Piece) -> str | None:
    """The bias that a recurrent layer adds to this one."""
    found = RECURRENT.search(piece.sources[0])
    if found is None or found[1] != "bias" or len(piece.sources) > 1:
        return None
    other = {"ih": "hh", "hh": "ih"}[found[2]]
    return piece.sources[0].replace(f"bias_{found[2]}", f"bias_{other}")


def share(tensor: Json, piece: Piece) -> float:
    """How much of a tensor a piece that has it as a source holds."""
    sliced = any(op["op"] == "slice" for op in piece.ops)
    return math.prod(piece.shape) / max(math.prod(tensor["shape"]), 1) if sliced else 1.0
