"""What a source's tensors may become in a port: pieces, and how pieces are divided and joined.

A *piece* is a source tensor, a part of one or several together, as other libraries hold it: the
three projections of a packed attention, one gate of a recurrent layer, both biases added, like
layers stacked. How its axes may lie in a variable is `ferry.check.layouts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ferry.check.uses import IN, INDEX, OUT, SPACE

Json = Mapping[str, Any]
Shape = tuple[int, ...]
Ops = list[dict[str, Any]]

#: What the last part of a name means, whichever library it is from.
ROLES = {
    "weight": "weight", "kernel": "weight", "embedding": "weight", "scale": "weight", "w": "weight",
    "gamma": "weight", "g": "weight", "bias": "bias", "b": "bias", "beta": "bias",
    "offset": "bias", "shift": "bias",
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
    "input": "i", "inputs": "i", "x": "i", "hidden": "h", "recurrent": "h", "ih": "i", "hh": "h",
    "forward": "", "forwards": "", "fwd": "", "backward": "reverse", "backwards": "reverse",
    "bwd": "reverse", "wq": "q", "wk": "k", "wv": "v", "wo": "o", "encoder": "enc",
    "decoder": "dec", "downsampling": "down", "upsampling": "up", "tokens": "token",
    "positions": "position", "blocks": "block",
}  # fmt: skip

#: Gates of recurrent layers, in torch's order.
GATES = {"LSTM": "ifgo", "LSTMCell": "ifgo", "GRU": "rzn", "GRUCell": "rzn"}

#: A gate by its flow and its letter in one word, as flax names them.
FLOW_AND_GATE = re.compile(r"([ih])([ifgorzn])")

RECURRENT = re.compile(r"(weight|bias)_(ih|hh)(?:_(l\d+)(_reverse)?)?$")

#: Words that name the parts of a tensor that joins several, where its own name does not.
PARTS = {2: ("0", "1"), 3: ("q", "k", "v"), 4: ("0", "1", "2", "3")}


@dataclass(frozen=True, eq=False)
class Piece:
    """Something that one variable of a port may hold; `shape` is that of one layer."""

    tokens: tuple[str, ...]
    role: str
    kind: str
    shape: Shape
    sources: tuple[str, ...]
    #: What each axis is for, as far as the kind of layer tells.
    axes: tuple[str | None, ...] = ()
    ops: Ops = field(default_factory=list)
    #: The layers that are stacked along a new first axis; 0 if none are.
    layers: int = 0
    #: The gates that a recurrent tensor joins.
    gates: str = ""

    def entry(self, target: str, further: Ops) -> dict[str, Any]:
        """The entry of a map that puts the piece, transformed further, into `target`."""
        ops = [*self.ops, *further]
        if self.layers:
            parts: Ops = [] if self.shape else [{"op": "reshape", "shape": [1]}]
            whole = {"op": "reshape", "shape": [self.layers, *self.shape]}
            joint: Ops = [{"op": "concat", "axis": 0}, whole]
            ops = [*self.ops, *parts, *joint, *(_lifted(op, self.layers) for op in further)]
        return {"to": target, "from": list(self.sources), "ops": ops}


def _lifted(op: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """An operation on one layer as one on a stack of them."""
    match op["op"]:
        case "permute":
            return {"op": "permute", "axes": [0, *(axis + 1 for axis in op["axes"])]}
        case "flip":
            return {"op": "flip", "axes": [axis + 1 for axis in op["axes"]]}
        case _:
            return {"op": "reshape", "shape": [layers, *op["shape"]]}


def tokens_of(path: str) -> tuple[str, ...]:
    """The words and numbers of a dotted path, without what says nothing."""
    path = path.replace("in_proj", "qkv")
    words = (w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", path))
    found: list[str] = []
    for word in words:
        gate = FLOW_AND_GATE.fullmatch(word)
        found += gate.groups() if gate else [SYNONYMS.get(word, word)]
    return tuple(word for word in found if word)


def split_role(path: str) -> tuple[str, str]:
    """The owner of a variable and its role, both from its path."""
    owner, _, leaf = path.rpartition(".")
    if leaf in ROLES:
        return owner, ROLES[leaf]
    found = re.fullmatch(r"(?:(\w+?)_)?(weight|bias|kernel|scale|shift|[wb])(?:_?(\w*))?", leaf)
    if found is None:
        return path, ""
    return ".".join(part for part in (owner, found[1], found[3]) if part), ROLES[found[2]]


def whole(tensor: Json) -> Piece:
    """A source tensor as it is."""
    owner, role = split_role(tensor["name"])
    layer = str(tensor.get("owner_class") or "").rpartition(".")[2]
    linear = layer.endswith("Linear") or layer == "MultiheadAttention"
    kind, shape = "Linear" if linear else layer, tuple(tensor["shape"])
    tokens, gates = tokens_of(owner), ""
    recurrent = RECURRENT.search(tensor["name"])
    if recurrent is not None:
        tokens = (*tokens_of(tensor["owner"]), *_place(recurrent), recurrent[2][0])
        role, kind, gates = recurrent[1], "Linear", GATES.get(layer, "")
    axes = _axes(kind, role, len(shape))
    return Piece(tokens, role, kind, shape, (tensor["name"],), axes, gates=gates)


def _axes(kind: str, role: str, rank: int) -> tuple[str | None, ...]:
    """What the axes of a layer's tensor are for."""
    if role == "weight" and kind == "Linear" and rank == 2:
        return (OUT, IN)
    if role == "weight" and kind.startswith("Conv") and rank > 2:
        first = (IN, OUT) if kind.startswith("ConvTranspose") else (OUT, IN)
        return (*first, *[SPACE] * (rank - 2))
    if role == "weight" and kind.startswith("Embedding"):
        return (INDEX, OUT)
    return (None,) * rank


def _place(match: re.Match[str]) -> list[str]:
    """The layer and direction of a recurrent tensor, as tokens."""
    return [*(["reverse"] if match[4] else []), *([match[3][1:]] if match[3] else [])]


def split(piece: Piece) -> list[list[Piece]]:
    """The ways in which a piece joins several: gates, projections, halves; likeliest first."""
    if (
        not piece.shape
        or piece.role in ("mean", "var")
        or any(op["op"] == "concat" for op in piece.ops)
    ):
        return []
    axis = piece.axes.index(OUT) if OUT in piece.axes else 0
    axes = [axis] if OUT in piece.axes else list(dict.fromkeys((0, len(piece.shape) - 1)))
    if piece.gates:
        return [_parts(piece, axis, piece.tokens, piece.gates)]
    found = []
    for count in sorted(PARTS, key=lambda count: count != 3):
        own, base = piece.tokens[-count:], piece.tokens[:-count]
        if len(own) < count or any(token.isdigit() for token in own) or count > 2:
            own, base = PARTS[count], piece.tokens[:-1] if count == 3 else piece.tokens
        found += [_parts(piece, axis, base, own) for axis in axes if piece.shape[axis] % count == 0]
    return found


def _parts(piece: Piece, axis: int, base: Sequence[str], names: Sequence[str]) -> list[Piece]:
    size = piece.shape[axis] // len(names)
    shape = (*piece.shape[:axis], size, *piece.shape[axis + 1 :])
    return [
        replace(
            piece,
            tokens=(*base, name),
            shape=shape,
            ops=[*piece.ops, {"op": "slice", "axis": axis, "start": i * size, "stop": (i + 1) * size}],
            gates="",
        )
        for i, name in enumerate(names)
    ]  # fmt: skip


def added(first: Piece, second: Piece) -> Piece:
    """The sum of two pieces, under the name of the second."""
    sources = (*first.sources, *second.sources)
    return replace(second, sources=sources, ops=[{"op": "add"}, *second.ops])


def joined(pieces: Sequence[Piece], tokens: tuple[str, ...], axis: int) -> Piece:
    """Several pieces one after the other along an axis."""
    first = pieces[0]
    total = sum(piece.shape[axis] for piece in pieces)
    return replace(
        first,
        tokens=tokens,
        shape=(*first.shape[:axis], total, *first.shape[axis + 1 :]),
        sources=tuple(source for piece in pieces for source in piece.sources),
        ops=[{"op": "concat", "axis": axis}],
        gates="",
    )


def stacked(pieces: Sequence[Piece]) -> Piece:
    """Like layers along a new first axis, as scanned and vmapped ports hold them."""
    first = pieces[0]
    tokens, _ = like_layers(first)
    sources = tuple(source for piece in pieces for source in piece.sources)
    return replace(first, tokens=tokens, sources=sources, layers=len(pieces))


def like_layers(piece: Piece) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The tokens of a piece without the number of its layer; what like ones have in common."""
    number = next((i for i, token in enumerate(piece.tokens) if token.isdigit()), None)
    if number is None:
        return piece.tokens, (*piece.tokens, piece.role, piece.shape)
    tokens = (*piece.tokens[:number], *piece.tokens[number + 1 :])
    return tokens, (number, *tokens, piece.role, piece.shape)
