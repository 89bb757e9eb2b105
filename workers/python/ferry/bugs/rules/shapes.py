"""Layouts, splits, repeats and pads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule
from ferry.bugs.site import SAME, Mutation, Site


def _last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _is_flattening(site: Site) -> bool:
    """Whether channels and space become one axis behind the batch."""
    x = site["input"]
    if x.ndim < 3 or x.shape[1] == 1 or math.prod(x.shape[2:]) == 1:
        return False
    if site.op == "flatten":
        return bool(site["start_dim"] == 1 and site["end_dim"] in (-1, x.ndim - 1))
    return list(site.original().shape) == [x.shape[0], x.numel() // x.shape[0]]


def _channels_last(site: Site) -> Any:
    return _last(site["input"]).flatten(1) if _is_flattening(site) else SAME


def _moved_back(site: Site) -> Any:
    """The reverse: data that the source flattens channels-last, flattened channels-first."""
    x = site["input"]
    return x.movedim(-1, 1).flatten(1) if _is_flattening(site) else SAME


def _reshaped_transpose(site: Site) -> Any:
    """The axes renamed, no number moved."""
    x, wanted = site["input"], site.original().shape
    return SAME if x.shape == wanted and x.ndim < 2 else x.reshape(wanted)


def _by_element(site: Site) -> Any:
    """repeat as jnp.repeat: each element several times in a row."""
    x, counts = site["input"], site.numbers
    x = x.reshape(*[1] * (len(counts) - x.ndim), *x.shape)
    for axis, count in enumerate(counts):
        x = x.repeat_interleave(count, axis) if count != 1 else x
    return x


def _tiled(site: Site) -> Any:
    """repeat_interleave as jnp.tile: the whole axis several times."""
    x, count, dim = site["input"], site["repeats"], site["dim"]
    if not isinstance(count, int) or dim is None:
        return SAME
    return torch.cat([x] * count, dim)


def _balanced(site: Site) -> Any:
    """chunk as jnp.array_split: sizes that differ by one at most."""
    x, count, dim = site["input"], site["chunks"], site["dim"]
    if x.shape[dim] % count == 0:
        return SAME
    return x.tensor_split(count, dim)


def _by_count(site: Site) -> Any:
    """split as jnp.split: the number is that of the parts."""
    x, count, dim = site["tensor"], site["split_size_or_sections"], site["dim"]
    if not isinstance(count, int) or x.shape[dim] % count or count * count == x.shape[dim]:
        return SAME
    return x.split(x.shape[dim] // count, dim)


def _by_index(site: Site) -> Any:
    """split sizes read as indices."""
    x, sizes, dim = site["tensor"], site["split_size_or_sections"], site["dim"]
    if isinstance(sizes, int):
        return SAME
    return x.tensor_split(tuple(sizes), dim)[: len(sizes)]


def _pairs(site: Site) -> list[tuple[Any, Any]]:
    flat = list(site["pad"])
    return list(zip(flat[0::2], flat[1::2], strict=True))


def _other_pad(change: Callable[[list[tuple[Any, Any]], int], list[tuple[Any, Any]]]) -> Mutation:
    def mutation(site: Site) -> Any:
        own = _pairs(site)
        changed = change(own, site["input"].ndim)
        if site["mode"] != "constant" or changed == own:
            return SAME
        return site.original(pad=[edge for pair in changed for edge in pair])

    return mutation


def _first_axis_first(pairs: list[tuple[Any, Any]], ndim: int) -> list[tuple[Any, Any]]:
    """The pairs belong to the first axes, in their order."""
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def _edge_repeated(site: Site) -> Any:
    """reflect as numpy's symmetric: the edge itself comes first."""
    if site["mode"] != "reflect":
        return SAME
    x = site["input"]
    for axis, (low, high) in enumerate(_pairs(site), 1):
        dim, size = x.ndim - axis, x.shape[x.ndim - axis]
        parts = [x.narrow(dim, 0, low).flip(dim), x, x.narrow(dim, size - high, high).flip(dim)]
        x = torch.cat(parts, dim)
    return x


def _space_first(site: Site) -> Any:
    """pixel_shuffle with the channel axis read as (r, r, C)."""
    x, r = site["input"], site["upscale_factor"]
    channels = x.shape[-3] // (r * r)
    if channels == 1 or r == 1:
        return SAME
    order = x.unflatten(-3, (r * r, channels)).transpose(-4, -3).flatten(-4, -3)
    return site.original(input=order)


def _space_first_inverse(site: Site) -> Any:
    """pixel_unshuffle with the channel axis written as (r, r, C)."""
    r, out = site["downscale_factor"], site.original()
    channels = out.shape[-3] // (r * r)
    if channels == 1 or r == 1:
        return SAME
    return out.unflatten(-3, (channels, r * r)).transpose(-4, -3).flatten(-4, -3)


def _other_indexing(site: Site) -> Any:
    indexing = site["indexing"] or "ij"
    kwargs = {"indexing": "xy" if indexing == "ij" else "ij"}
    return site.original(**kwargs)


def _negated_roll(site: Site) -> Any:
    shifts = site["shifts"]
    if isinstance(shifts, int):
        return site.original(shifts=-shifts)
    return site.original(shifts=tuple(-s for s in shifts))


def _reversed_parts(site: Site) -> Any:
    parts = list(site["tensors"])
    if len(parts) < 2 or all(p is parts[0] for p in parts):
        return SAME
    return site.original(tensors=parts[::-1])


def _exchanged(first: int, second: int) -> Mutation:
    """Two of the parts change places."""

    def mutation(site: Site) -> Any:
        parts = list(site.original())
        if max(first, second) >= len(parts) or parts[first].shape != parts[second].shape:
            return SAME
        parts[first], parts[second] = parts[second], parts[first]
        return tuple(parts)

    return mutation


def _only(name: str) -> Mutation:
    """A sum of two tensors that keeps one of them."""

    def mutation(site: Site) -> Any:
        x, y = site["input"], site["other"]
        both = isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape == y.shape
        return site[name] * 1 if both and x.is_floating_point() else SAME

    return mutation


RULES = (
    Rule(
        "nhwc_flatten",
        "channels-last data flattened",
        "Channels-last data is flattened as it lies.",
        "The source flattens (N, C, H, W): transpose back before the reshape, or permute the rows of "
        "the next layer's kernel.",
        "the same numbers in another order",
        ("flatten", "view", "reshape"),
        (_channels_last, _moved_back),
    ),
    Rule(
        "transpose_as_reshape",
        "a transpose done as a reshape",
        "The axes get new sizes, but no number moves.",
        "transpose and permute move numbers: jnp.swapaxes, jnp.transpose.",
        "the same numbers in another order",
        ("transpose", "permute"),
        (_reshaped_transpose,),
    ),
    Rule(
        "repeat_elements",
        "Tensor.repeat as jnp.repeat",
        "Each element is repeated in place.",
        "Tensor.repeat tiles: jnp.tile.",
        "the same numbers in another order",
        ("repeat",),
        (_by_element,),
    ),
    Rule(
        "repeat_tiled",
        "repeat_interleave as jnp.tile",
        "The whole axis is repeated.",
        "repeat_interleave repeats each element: jnp.repeat(x, n, axis).",
        "the same numbers in another order",
        ("repeat_interleave",),
        (_tiled,),
    ),
    Rule(
        "chunk_balanced",
        "chunk as jnp.array_split",
        "The parts are balanced (3, 3, 2, 2).",
        "Tensor.chunk makes parts of ceil(size/n) and a smaller last one (3, 3, 3, 1).",
        "differs only where the size does not divide",
        ("chunk",),
        (_balanced,),
    ),
    Rule(
        "split_count",
        "split size read as a number of parts, or sizes as indices",
        "jnp.split is given torch's number or sizes.",
        "torch.split takes sizes, jnp.split a count or cumulative indices: jnp.cumsum of the sizes.",
        "parts of other sizes",
        ("split",),
        (_by_count, _by_index),
    ),
    Rule(
        "pad_axis_order",
        "pads given to the wrong axes",
        "torch's pairs are given to the first axes in order.",
        "F.pad lists the last axis first: reverse the pairs for jnp.pad.",
        "another shape unless the sizes agree by chance",
        ("pad",),
        (_other_pad(_first_axis_first), _other_pad(lambda pairs, ndim: pairs[::-1])),
    ),
    Rule(
        "pad_sides",
        "low and high pads exchanged",
        "Each axis is padded at the other end.",
        "Each of torch's pairs is (before, after), as in jnp.pad.",
        "a shifted output",
        ("pad",),
        (_other_pad(lambda pairs, ndim: [(high, low) for low, high in pairs]),),
    ),
    Rule(
        "pad_symmetric",
        "reflection that repeats the edge",
        "jnp.pad(mode='symmetric') is used.",
        "F.pad's reflect leaves the edge out: jnp.pad(mode='reflect').",
        "only the border differs",
        ("pad",),
        (_edge_repeated,),
    ),
    Rule(
        "pixel_shuffle_order",
        "pixel shuffle with space before channels",
        "The channel axis is read as (r, r, C), as depth_to_space does.",
        "torch's is (C, r, r).",
        "pixels and channels mixed; exact for one channel",
        ("pixel_shuffle", "pixel_unshuffle"),
        (_space_first, _space_first_inverse),
    ),
    Rule(
        "meshgrid_indexing",
        "meshgrid with xy indexing",
        "jnp.meshgrid's default indexing='xy' is used.",
        "torch.meshgrid's default is 'ij'.",
        "both grids are transposed",
        ("meshgrid",),
        (_other_indexing,),
    ),
    Rule(
        "roll_direction",
        "roll in the other direction",
        "The shift is negated.",
        "jnp.roll shifts as torch.roll does.",
        "the same numbers in other places",
        ("roll",),
        (_negated_roll,),
    ),
    Rule(
        "cat_order",
        "parts joined in the reverse order",
        "The parts of a cat are exchanged.",
        "jnp.concatenate in the source's order.",
        "the same numbers in other places",
        ("cat",),
        (_reversed_parts,),
    ),
    Rule(
        "parts_exchanged",
        "parts of a split exchanged",
        "Two of the parts are taken for one another, such as keys for values.",
        "split, chunk and unbind give the parts in their order along the axis.",
        "everything differs",
        ("split", "chunk", "unbind"),
        (_exchanged(0, 1), _exchanged(1, 2), _exchanged(0, 2)),
    ),
    Rule(
        "residual_missing",
        "a summand left out",
        "Only one of two tensors that the source adds is kept, such as a block without its residual.",
        "Add both.",
        "the difference is the other summand",
        ("add",),
        (_only("other"), _only("input")),
    ),
)
