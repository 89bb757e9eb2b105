"""What a source's tensors may become in a port: pieces with their roles, and how they transform.

A *piece* is a source tensor, a part of one or a sum of some, as other libraries hold it: the
three projections of a packed attention, one gate of a recurrent layer, both biases added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = Mapping[str, Any]
Shape = tuple[int, ...]
Ops = list[dict[str, Any]]

#: What the last part of a name means, whichever library it is from.
ROLES = {
    "weight": "weight", "kernel": "weight", "embedding": "weight", "scale": "weight", "w": "weight",
    "gamma": "weight", "bias": "bias", "b": "bias", "beta": "bias", "offset": "bias",
    "mean": "mean", "running_mean": "mean", "moving_mean": "mean",
    "var": "var", "running_var": "var", "moving_var": "var", "value": "",
}  # fmt: skip

#: Parts of names that mean the same, or nothing.
SYNONYMS = {
    "query": "q", "key": "k", "value": "v", "to": "", "proj": "", "project": "", "projection": "",
    "out": "o", "output": "o", "layers": "", "layer": "", "modules": "", "module": "", "params": "",
    "batch": "", "stats": "", "fully": "", "connected": "fc", "dense": "fc", "linear": "fc",
    "lin": "fc", "convolution": "conv", "conv2d": "conv", "convtranspose": "deconv",
    "bn": "norm", "ln": "norm", "gn": "norm", "batchnorm": "norm", "layernorm": "norm",
    "groupnorm": "norm", "normalization": "norm", "embed": "emb", "embedding": "emb",
    "embeddings": "emb", "emb": "emb", "attention": "attn", "self": "", "shortcut": "downsample",
    "qkv": "in", "input": "i", "hidden": "h", "recurrent": "h", "ih": "i", "hh": "h",
    "forward": "", "forwards": "", "fwd": "", "backward": "reverse", "backwards": "reverse",
    "bwd": "reverse",
}  # fmt: skip

#: Gates of recurrent layers, in torch's order.
GATES = {"LSTM": "ifgo", "LSTMCell": "ifgo", "GRU": "rzn", "GRUCell": "rzn"}

RECURRENT = re.compile(r"(weight|bias)_(ih|hh)(?:_(l\d+)(_reverse)?)?$")


@dataclass(frozen=True)
class Piece:
    """Something that one variable of a port may hold."""

    tokens: tuple[str, ...]
    role: str
    kind: str
    shape: Shape
    sources: tuple[str, ...]
    ops: Ops = field(hash=False, default_factory=list)
    stacked: bool = False

    def entry(self, target: str, further: Ops) -> dict[str, Any]:
        """The entry of a map that puts the piece, transformed further, into `target`."""
        return {"to": target, "from": list(self.sources), "ops": [*self.ops, *further]}


def tokens_of(path: str) -> tuple[str, ...]:
    """The words and numbers of a dotted path, without what says nothing."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", path)
    known = (SYNONYMS.get(word.lower(), word.lower()) for word in words)
    return tuple(word for word in known if word)


def split_role(path: str) -> tuple[str, str]:
    """The owner of a variable and its role, both from its path."""
    owner, _, leaf = path.rpartition(".")
    if leaf in ROLES:
        return owner, ROLES[leaf]
    part, _, suffix = leaf.rpartition("_")
    known = suffix in ("weight", "bias", "kernel")
    return (f"{owner}.{part}", ROLES[suffix]) if known else (path, "")


def whole(tensor: Json) -> Piece:
    """A source tensor as it is."""
    owner, role = split_role(tensor["name"])
    kind = _kind(tensor)
    return Piece(tokens_of(owner), role, kind, tuple(tensor["shape"]), (tensor["name"],))


def _kind(tensor: Json) -> str:
    kind = str(tensor.get("owner_class") or "").rpartition(".")[2]
    return "Linear" if kind.endswith("Linear") or kind == "MultiheadAttention" else kind


def split(tensor: Json) -> list[Piece]:
    """The parts of a tensor that joins several: projections of attention, gates; else none."""
    kind, shape, name = _kind(tensor), tuple(tensor["shape"]), str(tensor["name"])
    recurrent = RECURRENT.search(name)
    if recurrent and kind in GATES:
        base = (*tokens_of(tensor["owner"]), *_place(recurrent))
        gates = [f"{recurrent[2][0]}{gate}" for gate in GATES[kind]]
        return _parts(name, shape, base, recurrent[1], gates)
    if kind == "Linear" and shape and shape[0] % 3 == 0:
        role = "bias" if name.endswith("bias") else "weight"
        base = tokens_of(re.sub(r"\.?in_proj_\w+$|\.?\w+\.(weight|bias)$", "", name))
        return _parts(name, shape, base, role, ["q", "k", "v"])
    return []


def _parts(
    name: str, shape: Shape, base: Sequence[str], role: str, parts: Sequence[str]
) -> list[Piece]:
    size = shape[0] // len(parts)
    return [
        Piece(
            (*base, part), role, "Linear", (size, *shape[1:]), (name,),
            [{"op": "slice", "axis": 0, "start": i * size, "stop": (i + 1) * size}],
        )
        for i, part in enumerate(parts)
    ]  # fmt: skip


def _place(match: re.Match[str]) -> list[str]:
    """The layer and direction of a recurrent tensor, as tokens."""
    return [*(["reverse"] if match[4] else []), *([match[3][1:]] if match[3] else [])]


def recurrent_whole(tensor: Json) -> Piece | None:
    """A tensor of a recurrent layer by its direction of flow: input or hidden."""
    found = RECURRENT.search(tensor["name"])
    if found is None:
        return None
    tokens = (*tokens_of(tensor["owner"]), *_place(found), found[2][0])
    return Piece(tokens, found[1], "Linear", tuple(tensor["shape"]), (tensor["name"],))


def added(first: Piece, second: Piece) -> Piece:
    """The sum of two pieces, under the name of the second."""
    ops = [{"op": "add"}, *first.ops]
    sources = (*first.sources, *second.sources)
    return Piece(second.tokens, second.role, second.kind, first.shape, sources, ops)


def joined(pieces: Sequence[Piece], tokens: tuple[str, ...]) -> Piece:
    """Several pieces one after the other along their first axis."""
    total = sum(piece.shape[0] for piece in pieces)
    first = pieces[0]
    return Piece(
        tokens, first.role, first.kind, (total, *first.shape[1:]),
        tuple(s for p in pieces for s in p.sources), [{"op": "concat", "axis": 0}],
    )  # fmt: skip


def stacked(pieces: Sequence[Piece], tokens: tuple[str, ...]) -> Piece:
    """Pieces of like layers along a new first axis, as scanned and vmapped ports hold them."""
    first = pieces[0]
    sources = tuple(s for p in pieces for s in p.sources)
    shape = (len(pieces), *first.shape)
    return Piece(tokens, first.role, first.kind, shape, sources, first.ops, stacked=True)


def transforms(piece: Piece, target: Shape, leaf: str) -> list[Ops]:
    """The ways in which a piece may become an array of the shape `target`, likeliest first."""
    if piece.stacked:
        one = replace(piece, shape=piece.shape[1:], stacked=False)
        stack: Ops = [{"op": "reshape", "shape": [1, *target[1:]]}, {"op": "concat", "axis": 0}]
        fits = piece.shape[0] == target[:1][0] if target else False
        return [[*ops, *stack] for ops in transforms(one, target[1:], leaf)] if fits else []
    found = [ops for ops, shape in _layouts(piece) if shape == target]
    if piece.kind == "Linear" and ROLES.get(leaf, piece.role) == piece.role:
        found += _by_heads(piece, target)
    if piece.kind.startswith("ConvTranspose") and piece.role == "weight":
        found += _grouped(piece.shape, target)
    if not found and _squeezed(piece.shape) == _squeezed(target):
        found.append([{"op": "reshape", "shape": list(target)}])
    if leaf not in ("kernel", "embedding"):
        found.sort(key=len)  # a port that keeps torch's name keeps torch's layout
    return found


def _layouts(piece: Piece) -> Iterator[tuple[Ops, Shape]]:
    """The layouts that layers of other libraries use for a piece."""
    shape, rank = piece.shape, len(piece.shape)
    space = list(range(2, rank))
    orders: list[tuple[list[int], bool]] = []
    if piece.role == "weight" and piece.kind != "Embedding":
        if piece.kind.startswith("ConvTranspose") and rank > 2:
            orders = [([*space, 0, 1], True), ([*space, 1, 0], False), ([*space, 0, 1], False)]
        elif rank > 2 and piece.kind.startswith("Conv"):
            orders = [([*space, 1, 0], False)]
        elif rank == 2:
            orders = [([1, 0], False)]
    for axes, flipped in orders:
        ops: Ops = [{"op": "permute", "axes": axes}]
        if flipped:
            ops.append({"op": "flip", "axes": list(range(rank - 2))})
        yield ops, tuple(shape[axis] for axis in axes)
    yield [], shape


def _by_heads(piece: Piece, target: Shape) -> list[Ops]:
    """A projection whose input or output is split into heads."""
    if math.prod(piece.shape) != math.prod(target) or len(target) != len(piece.shape) + 1:
        return []
    reshape: Ops = [{"op": "reshape", "shape": list(target)}]
    if len(piece.shape) != 2:
        return [reshape] if len(piece.shape) == 1 else []
    out, into = piece.shape
    if target[0] == into or target[-1] == out:
        return [[{"op": "permute", "axes": [1, 0]}, *reshape]]
    return []


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


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)
