"""The weight map of a port that came without one.

Both sides' tensors are paired by what their names say, by the order in which they are defined, by
the order in which they are used, and by their neighbours; each pair must fit in kind and shape.
Pieces of the source that find no place are divided, added, joined or stacked
(`ferry.check.pieces`). How a piece lies in its variable follows from what the port's program does
with it (`ferry.check.uses`).

Where several maps remain, nothing here can tell which one is right: they are listed, likeliest
first, and the daemon tries them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ferry.check import relations
from ferry.check.layouts import Way, transforms
from ferry.check.pieces import (
    Piece,
    Shape,
    added,
    joined,
    like_layers,
    split,
    split_role,
    stacked,
    tokens_of,
    whole,
)
from ferry.check.uses import Use
from ferry.deliver.bundle.load_weights import FORMAT

Json = Mapping[str, Any]
Pairs = dict[str, Piece]

#: So many maps are tried at most.
MOST_CHOICES = 8

#: So often pieces are divided or joined before a matching is given up.
ROUNDS = 6

#: Costs of a pair: it does not fit at all, other roles, an axis used otherwise, other neighbours.
IMPOSSIBLE, OTHER_ROLE, OTHER_USE, OTHER_NEIGHBOUR = 1e6, 0.6, 0.8, 0.4


@dataclass(frozen=True)
class Weighing:
    """What names, the order of definition and the order of use count for."""

    names: float
    defined: float
    used: float


WEIGHINGS = (Weighing(1.0, 0.3, 0.3), Weighing(0.2, 0.2, 1.0), Weighing(0.2, 1.0, 0.2))


class Inference:
    """The maps that may hold between a source's tensors and a port's variables."""

    def __init__(
        self,
        tensors: Sequence[Json],
        targets: Mapping[str, Shape],
        uses: Mapping[str, Use] | None = None,
        executed: Sequence[str] = (),
    ) -> None:
        """`uses` of the port's variables and the source's submodules as they were `executed`."""
        self._tensors = _one_per_storage(tensors)
        self._tied = _tied(tensors)
        self._targets = targets
        self._names = list(targets)
        self._uses = dict(uses or {})
        self._ways: dict[tuple[int, str], list[Way]] = {}
        self._kept: list[Piece] = []  # what `_ways` has by identity
        self._turns = relations.ranks(
            [relations.use_order(self._uses, name) for name in self._names]
        )
        self._executed = relations.execution(executed)
        self._around = {c.rpartition("#")[0].rpartition(".")[0] or "." for c in executed}
        self._follow = bool(self._uses) and bool(executed)
        self._parameters = {t["name"] for t in self._tensors if t["kind"] == "parameter"}

    def choices(self) -> list[Json]:
        """The complete maps, likeliest first; none if something stays unmatched."""
        matchings = [
            pairs
            for weighing in WEIGHINGS
            for pairs in self._matchings(weighing)
            if not any(self._unmatched(pairs).values())
        ]
        made = chain(
            (self._map(pairs, {}) for pairs in matchings),
            (m for pairs in matchings[:1] for m in self._variants(pairs)),
        )
        found: dict[str, Json] = {}
        for choice in made:
            found.setdefault(json.dumps(choice), choice)
            if len(found) == MOST_CHOICES:
                break
        return list(found.values())

    def unmatched(self) -> dict[str, list[str]]:
        """What the best matching leaves over on both sides."""
        left = [self._unmatched(pairs) for pairs in self._matchings(WEIGHINGS[0])]
        return min(left, key=lambda names: len(names["source"]) + len(names["target"]))

    def _matchings(self, weighing: Weighing) -> Iterator[Pairs]:
        """The best pairing with the source's layers one by one, and with like ones stacked."""
        pieces = [whole(tensor) for tensor in self._tensors]
        yield self._settle(pieces, weighing)
        piled = self._stack(pieces)
        if len(piled) < len(pieces):
            yield self._settle(piled, weighing)

    def _stack(self, pieces: list[Piece]) -> list[Piece]:
        """Like layers as one piece each, where a variable is as deep."""
        depths = {shape[0] for shape in self._targets.values() if shape}
        groups: dict[Any, list[Piece]] = {}
        for piece in pieces:
            groups.setdefault(like_layers(piece)[1], []).append(piece)
        found = []
        for parts in groups.values():
            deep = len(parts) > 1 and len(parts) in depths
            found += [stacked(parts)] if deep else parts
        return found

    def _settle(self, pieces: list[Piece], weighing: Weighing) -> Pairs:
        """The pairing after what finds no place was divided, added or joined."""
        pairs = self._match(pieces, weighing)
        for _ in range(ROUNDS):
            held = {id(piece) for piece in pairs.values()}
            left = [
                p for p in pieces if id(p) not in held and self._parameters.issuperset(p.sources)
            ]
            room = [name for name in self._names if name not in pairs]
            changed = self._changed(pieces, left, room) if left else None
            if changed is None:
                break
            pieces = changed
            pairs = self._match(pieces, weighing)
        return pairs

    def _changed(
        self, pieces: list[Piece], left: list[Piece], room: list[str]
    ) -> list[Piece] | None:
        """`pieces` with those that are left over in another form, if there is one that fits."""
        like = [p for p in pieces if p not in left and any(relations.same_form(p, o) for o in left)]
        for piece in [*left, *like]:
            for parts in split(piece):
                if self._all_fit(parts, room):
                    return self._replaced(pieces, piece, parts)
        return self._joined(pieces, left, room) or self._summed(pieces, left)

    def _all_fit(self, parts: list[Piece], room: list[str]) -> bool:
        """Whether each part has a variable of its own among those that are empty."""
        free = [[name for name in room if self._fits(part, name)] for part in parts]
        return all(free) and len(set(chain(*free))) >= len(parts)

    def _replaced(self, pieces: list[Piece], like: Piece, parts: list[Piece]) -> list[Piece]:
        """`pieces` with `like` and what is like it in other layers divided in the same way."""
        names = [part.tokens[-1] for part in parts]
        found = []
        for piece in pieces:
            ways = split(piece) if relations.alike(piece, like) else []
            same = [w for w in ways if [p.tokens[-1] for p in w] == names]
            same = [w for w in same if [p.shape for p in w] == [p.shape for p in parts]]
            found += same[0] if same else [piece]
        return found

    def _joined(
        self, pieces: list[Piece], left: list[Piece], room: list[str]
    ) -> list[Piece] | None:
        """`pieces` with some that belong together as one that fills an empty variable."""
        families: dict[Any, list[Piece]] = {}
        for piece in pieces:
            if piece.shape and not piece.ops and not piece.layers:
                families.setdefault(relations.family(piece), []).append(piece)
        for (tokens, *_), family in families.items():
            for parts in relations.runs(family, left):
                for axis in relations.axes_to_join(parts):
                    one = joined(parts, tokens, axis)
                    if any(self._fits(one, name) for name in room):
                        place = pieces.index(parts[0])
                        kept = [piece for piece in pieces if piece not in parts]
                        return [*kept[:place], one, *kept[place:]]
        return None

    def _summed(self, pieces: list[Piece], left: list[Piece]) -> list[Piece] | None:
        """`pieces` with the biases that are left over added to those beside them."""
        found = list(pieces)
        for piece in left:
            other = relations.other_bias(piece)
            beside = [p for p in found if p.sources == (other,)]
            partner = next((p for p in beside if p.ops == piece.ops), None)
            if piece not in found or not beside:
                continue
            gone = [piece, *(beside if partner is None else [partner])]
            if partner is None and piece.ops:
                continue
            place = found.index(gone[1])
            one = added(partner or self._whole(str(other)), piece)
            found[place] = one
            found = [p for p in found if p is one or p not in gone]
        return found if len(found) < len(pieces) else None

    def _whole(self, name: str) -> Piece:
        return whole(next(tensor for tensor in self._tensors if tensor["name"] == name))

    def _fits(self, piece: Piece, name: str) -> bool:
        return bool(self._of(piece, name))

    def _of(self, piece: Piece, name: str) -> list[Way]:
        """The ways in which a piece fills a variable."""
        key = (id(piece), name)
        if key not in self._ways:
            self._kept.append(piece)
            leaf = name.rpartition(".")[2]
            self._ways[key] = transforms(piece, self._targets[name], leaf, self._uses.get(name))
        return self._ways[key]

    def _match(self, pieces: list[Piece], weighing: Weighing) -> Pairs:
        """The cheapest pairing of variables and pieces, with regard to their neighbours."""
        costs = self._costs(pieces, weighing)
        pairs = self._assigned(costs, pieces)
        for _ in range(2):
            pairs = self._assigned(costs + self._strangers(pieces, pairs), pieces)
        return pairs

    def _costs(self, pieces: list[Piece], weighing: Weighing) -> Any:
        costs = np.full((len(self._names), len(pieces)), IMPOSSIBLE)
        turns = relations.ranks([self._executed(piece.sources[0]) for piece in pieces])
        follow = [self._follow and self._has_turn(piece) for piece in pieces]
        for row, name in enumerate(self._names):
            owner, role = split_role(name)
            tokens = tokens_of(owner)
            for column, piece in enumerate(pieces):
                ways = self._of(piece, name)
                if not ways:
                    continue
                distance = relations.distance(tokens, piece.tokens)
                defined = abs(row / len(self._names) - column / len(pieces))
                turn = abs(self._turns[row] - turns[column]) if follow[column] else 0.0
                costs[row, column] = (
                    weighing.names * distance
                    + weighing.defined * defined
                    + weighing.used * turn
                    + (OTHER_ROLE if role != piece.role else 0.0)
                    + OTHER_USE * ways[0].against
                )
        return costs

    def _has_turn(self, piece: Piece) -> bool:
        """Whether it is known when a piece is used: not where its module calls others as well."""
        return (relations.owner(piece) or ".") not in self._around

    def _assigned(self, costs: Any, pieces: list[Piece]) -> Pairs:
        rows, columns = linear_sum_assignment(costs)
        return {
            self._names[row]: pieces[column]
            for row, column in zip(rows, columns, strict=True)
            if costs[row, column] < IMPOSSIBLE
        }

    def _strangers(self, pieces: list[Piece], pairs: Pairs) -> Any:
        """What a pair costs more whose neighbours in order of use are not paired."""
        extra = np.zeros((len(self._names), len(pieces)))
        if not self._follow:
            return extra
        known = [piece for piece in pieces if self._has_turn(piece)]
        before = relations.before(
            known, lambda p: (self._executed(p.sources[0]), relations.owner(p))
        )
        previous = relations.before(
            self._names, lambda n: (relations.use_order(self._uses, n), split_role(n)[0])
        )
        for row, name in enumerate(self._names):
            beside = [pairs[other] for other in previous[name] if other in pairs]
            friends = {id(piece) for piece in beside if piece in before}
            if beside and not friends:
                continue
            for column, piece in enumerate(pieces):
                others = set(map(id, before.get(piece, [])))
                strange = friends.isdisjoint(others) and bool(friends or others)
                extra[row, column] = OTHER_NEIGHBOUR * (piece in before and strange)
        return extra

    def _unmatched(self, pairs: Pairs) -> dict[str, list[str]]:
        """The variables without a piece, and the parameters that no variable holds."""
        held: dict[str, float] = dict.fromkeys(self._parameters, 0.0)
        shapes = {tensor["name"]: tensor for tensor in self._tensors}
        for piece in pairs.values():
            for source in piece.sources:
                held[source] = held.get(source, 0.0) + relations.share(shapes[source], piece)
        return {
            "source": [n for n in shapes if n in self._parameters and held[n] < 1 - 1e-6],
            "target": [name for name in self._names if name not in pairs],
        }

    def _variants(self, pairs: Pairs) -> Iterator[Json]:
        """Maps beside the likeliest: other layouts of one kind, pieces of one shape swapped."""
        doubtful: dict[Any, list[str]] = {}
        for name, piece in pairs.items():
            ways = self._of(piece, name)
            count = sum(way.against <= ways[0].against for way in ways)
            if count > 1:
                kind = (piece.kind, name.rpartition(".")[2], count)
                doubtful.setdefault(kind, []).append(name)
        for size in range(1, len(doubtful) + 1):
            for kinds in combinations(doubtful, size):
                for rank in range(1, min(kind[2] for kind in kinds)):
                    yield self._map(pairs, {n: rank for kind in kinds for n in doubtful[kind]})
        for first, second in self._twins(pairs):
            swap = dict(zip([*first, *second], [*second, *first], strict=True))
            swapped = {n: pairs[swap.get(n, n)] for n in pairs}
            if all(self._fits(piece, name) for name, piece in swapped.items()):
                yield self._map(swapped, {})
        for names in doubtful.values():
            yield from (self._map(pairs, {name: 1}) for name in names if len(names) > 1)

    def _twins(self, pairs: Pairs) -> Iterator[tuple[list[str], list[str]]]:
        """Variables of one shape and owner whose pieces might be swapped, in all layers alike."""
        patterns: dict[Any, list[str]] = {}
        for name in pairs:
            key = (re.sub(r"\d+", "", name), self._targets[name], pairs[name].role)
            patterns.setdefault(key, []).append(name)
        for (a, first), (b, second) in combinations(patterns.items(), 2):
            same_leaf = a[0].rpartition(".")[2] == b[0].rpartition(".")[2]
            if a[1:] == b[1:] and same_leaf and len(first) == len(second):
                yield first, second

    def _map(self, pairs: Pairs, ranks: Mapping[str, int]) -> Json:
        params = [
            pairs[name].entry(name, self._of(pairs[name], name)[ranks.get(name, 0)].ops)
            for name in self._names
        ]
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
