"""The weight map of a port that came without one.

Names first (the words of both paths), then the order in which both sides define things, then
what the layers' kinds and the shapes allow. Where a shape fits in several ways, a square kernel
for example, nothing here can tell which one is right: the maps are listed, likeliest first, and
the daemon tries them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ferry.check.pieces import (
    Ops,
    Piece,
    Shape,
    added,
    joined,
    recurrent_whole,
    split,
    split_role,
    stacked,
    tokens_of,
    transforms,
    whole,
)
from ferry.deliver.bundle.load_weights import FORMAT

Json = Mapping[str, Any]

#: So many maps are tried at most.
MOST_CHOICES = 8

#: Costs of a pair: it does not fit at all, other roles, and names against order.
IMPOSSIBLE, OTHER_ROLE = 1e6, 0.6
BY_NAMES, BY_ORDER = (1.0, 0.3), (0.2, 1.0)


Join = Callable[[Sequence[Piece], tuple[str, ...]], Piece]
Key = Callable[[Piece], tuple[Any, ...]]


class Inference:
    """The maps that may hold between a source's tensors and a port's variables."""

    def __init__(self, tensors: Sequence[Json], targets: Mapping[str, Shape]) -> None:
        self._tensors = _one_per_storage(tensors)
        self._tied = _tied(tensors)
        self._targets = targets
        self._names = list(targets)
        self._pieces = self._fitting_pieces()

    def choices(self) -> list[Json]:
        """The complete maps, likeliest first; none if something stays unmatched."""
        found: dict[str, Json] = {}
        for weights in (BY_NAMES, BY_ORDER):
            pairs = self._match(weights)
            if self._unmatched(pairs) != {"source": [], "target": []}:
                continue
            for ranks in self._rankings(pairs):
                made = self._map(pairs, ranks)
                found.setdefault(json.dumps(made), made)
                if len(found) == MOST_CHOICES:
                    return list(found.values())
        return list(found.values())

    def unmatched(self) -> dict[str, list[str]]:
        """What the best matching leaves over on both sides."""
        return self._unmatched(self._match(BY_NAMES))

    def _fitting_pieces(self) -> list[Piece]:
        """Each tensor whole if a variable can hold it, else stacked, in parts or joined."""
        tensors = {t["name"]: t for t in self._tensors}
        pieces = [recurrent_whole(t) or whole(t) for t in self._tensors]
        pieces = self._combine(pieces, stacked, _like_layers)
        for piece in list(pieces):
            parts = split(tensors[piece.sources[0]])
            alone = len(piece.sources) == 1 and not self._fits(piece)
            if alone and parts and all(self._fits(part) for part in parts):
                place = pieces.index(piece)
                pieces[place : place + 1] = parts
        return self._combine(self._add_biases(pieces), joined, _siblings)

    def _fits(self, piece: Piece) -> bool:
        return any(self._fills(piece, name) for name in self._names)

    def _add_biases(self, pieces: list[Piece]) -> list[Piece]:
        """Two biases of a recurrent layer as one, where the port has no place for both."""
        for first in [p for p in pieces if p.role == "bias" and "bias_ih" in p.sources[0]]:
            other = first.sources[0].replace("bias_ih", "bias_hh")
            second = next((p for p in pieces if _is_part(p, other, first.ops)), None)
            room = sum(shape == first.shape for shape in self._targets.values())
            like = sum(p.role == "bias" and p.shape == first.shape for p in pieces)
            if second is not None and like > room:
                pieces = [added(first, p) if p is second else p for p in pieces if p is not first]
        return pieces

    def _combine(self, pieces: list[Piece], join: Join, key: Key) -> list[Piece]:
        """Pieces as one, where only so they fill a variable that none fills alone."""
        open_ones = {n for n in self._names if not any(self._fills(p, n) for p in pieces)}
        groups: dict[tuple[Any, ...], list[Piece]] = {}
        for piece in pieces:
            if piece.shape and not piece.ops:
                groups.setdefault(key(piece), []).append(piece)
        for (tokens, *_), parts in groups.items():
            one = join(parts, tokens)
            if len(parts) > 1 and any(self._fills(one, name) for name in open_ones):
                place = pieces.index(parts[0])
                pieces = [p for p in pieces if p not in parts]
                pieces.insert(place, one)
        return pieces

    def _fills(self, piece: Piece, name: str) -> bool:
        return bool(transforms(piece, self._targets[name], _leaf(name)))

    def _match(self, weights: tuple[float, float]) -> dict[str, Piece]:
        """The cheapest pairing of variables and pieces."""
        costs = np.full((len(self._names), len(self._pieces)), IMPOSSIBLE)
        by_name, by_order = weights
        for row, name in enumerate(self._names):
            owner, role = split_role(name)
            tokens = tokens_of(owner)
            for column, piece in enumerate(self._pieces):
                if not self._fills(piece, name):
                    continue
                distance = 1 - SequenceMatcher(None, tokens, piece.tokens, False).ratio()
                order = abs(row / len(self._names) - column / len(self._pieces))
                other = OTHER_ROLE if role != piece.role else 0.0
                costs[row, column] = by_name * distance + by_order * order + other
        rows, columns = linear_sum_assignment(costs)
        return {
            self._names[row]: self._pieces[column]
            for row, column in zip(rows, columns, strict=True)
            if costs[row, column] < IMPOSSIBLE
        }

    def _unmatched(self, pairs: Mapping[str, Piece]) -> dict[str, list[str]]:
        """The variables without a piece, and the parameters that no variable holds."""
        used = {source for piece in pairs.values() for source in piece.sources}
        held = {id(piece) for piece in pairs.values()}
        lost = {s for p in self._pieces if id(p) not in held for s in p.sources}
        parameters = [t["name"] for t in self._tensors if t["kind"] == "parameter"]
        return {
            "source": [n for n in parameters if n not in used or n in lost],
            "target": [name for name in self._names if name not in pairs],
        }

    def _rankings(self, pairs: Mapping[str, Piece]) -> list[dict[Any, int]]:
        """Which transform each kind of ambiguous pair takes: the first for all, then others."""
        options: dict[Any, int] = {}
        for name, piece in pairs.items():
            ways = transforms(piece, self._targets[name], _leaf(name))
            key = _kind_of_pair(name, piece)
            options[key] = max(options.get(key, 1), len(ways))
        ambiguous = [key for key, count in options.items() if count > 1]
        ranks = product(*(range(options[key]) for key in ambiguous))
        nearest = sorted(ranks, key=lambda r: (sum(map(bool, r)), r))[:MOST_CHOICES]
        return [dict(zip(ambiguous, rank, strict=True)) for rank in nearest]

    def _map(self, pairs: Mapping[str, Piece], ranks: Mapping[Any, int]) -> Json:
        params = []
        for name in self._names:
            piece = pairs[name]
            ways: list[Ops] = transforms(piece, self._targets[name], _leaf(name))
            rank = min(ranks.get(_kind_of_pair(name, piece), 0), len(ways) - 1)
            params.append(piece.entry(name, ways[rank]))
        used = {source for entry in params for source in entry["from"]}
        stateful = [t["name"] for t in self._tensors if t["kind"] == "buffer"]
        ignored = [name for name in stateful if name not in used]
        return {
            "format": FORMAT,
            "params": params,
            "ignored": [*ignored, *self._tied],
            "tied": self._tied,
        }


def _one_per_storage(tensors: Sequence[Json]) -> list[Json]:
    """The first name of each storage; what shares it is tied to it."""
    first: dict[int, Json] = {}
    for tensor in tensors:
        first.setdefault(tensor["storage"], tensor)
    return list(first.values())


def _tied(tensors: Sequence[Json]) -> dict[str, str]:
    """The further names of shared tensors that every state_dict has, with the first name."""
    first = {t["storage"]: t["name"] for t in reversed(tensors)}
    return {
        t["name"]: first[t["storage"]]
        for t in tensors
        if t["name"] != first[t["storage"]] and t["kind"] in ("parameter", "buffer")
    }


def _siblings(piece: Piece) -> tuple[Any, ...]:
    """What pieces of one layer that another library joins have in common."""
    last = piece.tokens[-1:] or ("",)
    fused = ("in",) if last[0] in ("q", "k", "v") else ()
    return (*piece.tokens[:-1], *fused), piece.role, piece.kind, piece.shape[1:], bool(fused)


def _like_layers(piece: Piece) -> tuple[Any, ...]:
    """What pieces at the same place of numbered layers have in common."""
    number = next((i for i, token in enumerate(piece.tokens) if token.isdigit()), 0)
    return (*piece.tokens[:number], *piece.tokens[number + 1 :]), piece.role, piece.shape


def _is_part(piece: Piece, source: str, ops: Ops) -> bool:
    return piece.sources == (source,) and piece.ops == ops


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _kind_of_pair(name: str, piece: Piece) -> tuple[str, str, int]:
    return piece.kind, _leaf(name), len(piece.shape)
