"""Attention: masks, scales, heads and rotary positions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule, Wrapper
from ferry.bugs.site import SAME, Mutation, Site

SDPA = "scaled_dot_product_attention"
MHA = "multi_head_attention_forward"
SCORES = (SDPA, MHA)


def _is_bool(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bool


def _with_masks(change: Callable[[Tensor], Tensor | None]) -> Mutation:
    """Boolean masks of fused attention changed; None takes the mask away."""

    def mutation(site: Site) -> Any:
        names = ("attn_mask", "key_padding_mask") if site.op == MHA else ("attn_mask",)
        found = {name: site[name] for name in names if _is_bool(site[name])}
        if not found:
            return SAME
        changes: dict[str, Any] = {name: change(mask) for name, mask in found.items()}
        if site["is_causal"]:
            changes["is_causal"] = False
        return site.original(**changes)

    return mutation


def _inverted_fill(site: Site) -> Any:
    return site.original(mask=~site["mask"]) if _is_bool(site["mask"]) else SAME


def _inverted_where(site: Site) -> Any:
    """A choice between scores and a very negative number, turned round."""
    if not any(_is_blocking(site[name]) for name in ("input", "other")):
        return SAME
    return site.original(condition=~site["condition"])


def _is_blocking(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.is_floating_point() and float(value) < -1e3
    return isinstance(value, int | float) and value < -1e3


def _no_fill(site: Site) -> Any:
    return site["input"] * 1 if _is_blocking(site["value"]) else SAME


def _no_mask(site: Site) -> Any:
    if site["attn_mask"] is None and not site["is_causal"]:
        return SAME
    return site.original(attn_mask=None, is_causal=False)


def _no_padding_mask(site: Site) -> Any:
    if site.op != MHA or site["key_padding_mask"] is None:
        return SAME
    return site.original(key_padding_mask=None)


def _added_ones(mask: Tensor) -> Tensor:
    return mask.to(torch.get_default_dtype())


def _causal_from_end(site: Site) -> Any:
    """is_causal aligned at the last query and key instead of the first."""
    queries, keys = site["query"].shape[-2], site["key"].shape[-2]
    if not site["is_causal"] or queries == keys or site.op == MHA:
        return SAME
    mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    return site.original(attn_mask=mask, is_causal=False)


def _shifted_diagonal(by: int) -> Mutation:
    def mutation(site: Site) -> Any:
        return site.original(diagonal=site["diagonal"] + by)

    return mutation


def _average_masked_rows(site: Site) -> Any:
    """Rows without any allowed key average all keys."""
    mask = site["attn_mask"]
    if not _is_bool(mask) or bool(mask.any(-1).all()):
        return SAME
    return site.original(attn_mask=mask | ~mask.any(-1, keepdim=True))


def _softmax_of_masked_rows(site: Site) -> Any:
    x, dim = site["input"], site["dim"]
    if dim is None or not bool((x == -math.inf).all(dim).any()):
        return SAME
    return site.original(input=x.clamp(min=torch.finfo(x.dtype).min))


def _queries_and_keys(site: Site) -> Any:
    if site.op == SDPA:
        if site["query"].shape != site["key"].shape:
            return SAME
        return site.original(query=site["key"], key=site["query"])
    packed, bias = site["in_proj_weight"], site["in_proj_bias"]
    if packed is None:
        return SAME
    return site.original(in_proj_weight=_swap_first(packed), in_proj_bias=_swap_first(bias))


def _swap_first(packed: Tensor | None) -> Tensor | None:
    if packed is None:
        return None
    q, k, v = packed.chunk(3)
    return torch.cat([k, q, v])


def _transposed_scores(site: Site) -> Any:
    """k q^T for q k^T: a square product of a matrix with a transposed one."""
    x, y = site["input"], site["other" if site.op == "matmul" else "mat2"]
    if not isinstance(y, Tensor) or min(x.ndim, y.ndim) < 3 or x.shape != y.mT.shape:
        return SAME
    return site.original().mT


def _key_value_swapped(site: Site) -> Any:
    if site["key"].shape != site["value"].shape or site.op == MHA:
        return SAME
    return site.original(key=site["value"], value=site["key"])


def _scale(site: Site) -> float:
    given = site["scale"]
    return float(given) if given is not None else 1.0 / math.sqrt(site["query"].shape[-1])


def _fused_scale(change: Callable[[Site, float], float]) -> Mutation:
    def mutation(site: Site) -> Any:
        if site.op == SDPA:
            return site.original(scale=change(site, _scale(site)))
        packed, bias = site["in_proj_weight"], site["in_proj_bias"]
        if packed is None:
            return SAME
        own = 1.0 / math.sqrt(site["embed_dim"] // site["num_heads"])
        by = change(site, own) / own
        return site.original(
            in_proj_weight=_scale_first(packed, by), in_proj_bias=_scale_first(bias, by)
        )

    return mutation


def _scale_first(packed: Tensor | None, by: float) -> Tensor | None:
    if packed is None:
        return None
    q, k, v = packed.chunk(3)
    return torch.cat([q * by, k, v])


def _full_scale(site: Site, own: float) -> float:
    """The scale of the whole embedding instead of one head."""
    if site.op == MHA:
        return 1.0 / math.sqrt(site["embed_dim"])
    query = site["query"]
    heads = query.shape[1] if query.ndim == 4 else 1
    return own / math.sqrt(heads)


def _is_root(value: Any) -> bool:
    """Whether a number is the root of a whole number above 1, or one over that."""
    if not isinstance(value, float) or not 0.0 < abs(value) < 1e3 or value == 1.0:
        return False
    square = value * value if abs(value) > 1.0 else 1.0 / (value * value)
    return abs(square - round(square)) < 1e-6 * square and round(square) > 1


def _handmade_scale(power: float) -> Mutation:
    """A product with, or quotient by, such a number: done `power` times."""

    def mutation(site: Site) -> Any:
        x, number = site["input"], site["other"]
        if not isinstance(x, Tensor):
            x, number = number, x
        if not isinstance(x, Tensor) or not x.is_floating_point() or not _is_root(number):
            return SAME
        factor = number if site.op == "mul" else 1.0 / number
        return x * factor**power

    return mutation


def _other_split(site: Site) -> Any:
    """A last axis split in two that is read as if its parts changed places."""
    x, numbers = site["input"], _sizes(site)
    if len(numbers) < 3 or len(numbers) != x.ndim + 1 or numbers[-1] == 1 or numbers[-2] == 1:
        return SAME
    if numbers[-1] * numbers[-2] != x.shape[-1]:
        return SAME
    return x.reshape(*numbers[:-2], numbers[-1], numbers[-2]).mT


def _sizes(site: Site) -> list[int]:
    """The numbers of a view with its -1 resolved."""
    numbers = site.numbers
    if not all(isinstance(n, int) for n in numbers) or numbers.count(-1) > 1:
        return []
    known = math.prod(n for n in numbers if n != -1)
    if known == 0:
        return []
    return [site["input"].numel() // known if n == -1 else n for n in numbers]


def _other_fusion(site: Site) -> Any:
    """A packed axis of three parts and heads, read in the other order."""
    x, numbers = site["input"], _sizes(site)
    if len(numbers) != x.ndim + 2 or numbers[-1] * numbers[-2] * numbers[-3] != x.shape[-1]:
        return SAME
    if 3 not in numbers[-3:-1] or numbers[-3] == numbers[-2]:
        return SAME
    *lead, a, b, last = numbers
    return x.reshape(*lead, b, a, last).transpose(-3, -2)


def _unequal_heads(site: Site) -> Any:
    """Shared key heads tiled (0 1 0 1) instead of repeated (0 0 1 1)."""
    query, key = site["query"], site["key"]
    if site.op != SDPA or not site["enable_gqa"] or query.shape[-3] == key.shape[-3]:
        return SAME
    times = query.shape[-3] // key.shape[-3]
    if key.shape[-3] == 1:
        return SAME
    tiled = [torch.cat([part] * times, -3) for part in (key, site["value"])]
    return site.original(key=tiled[0], value=tiled[1], enable_gqa=False)


def _half_of(x: Tensor) -> Tensor:
    """Even elements first, then odd ones."""
    return torch.cat([x[..., 0::2], x[..., 1::2]], -1)


def _pairs_of(x: Tensor) -> Tensor:
    """The inverse of `_half_of`."""
    return torch.stack(x.chunk(2, -1), -1).flatten(-2)


def _in_other_order(
    before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]
) -> Callable[[Wrapper], Wrapper]:
    """A rotation of the other pairing: reordered before and back after."""

    def wrap(function: Wrapper) -> Wrapper:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            shapes = [r.shape for r in _tensors(result)]
            if not shapes:
                return result
            own = [_reordered(a, shapes, before) for a in args]
            named = {name: _reordered(a, shapes, before) for name, a in kwargs.items()}
            return _each_tensor(function(*own, **named), after)

        return wrapped

    return wrap


def _tensors(value: Any) -> list[Tensor]:
    parts = value if isinstance(value, tuple | list) else [value]
    return [p for p in parts if _rotates(p)]


def _rotates(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.ndim >= 3
        and value.shape[-1] % 2 == 0
    )


def _reordered(value: Any, shapes: list[Any], order: Callable[[Tensor], Tensor]) -> Any:
    return order(value) if _rotates(value) and value.shape in shapes else value


def _each_tensor(value: Any, order: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(order(v) if _rotates(v) else v for v in value)
    return order(value) if _rotates(value) else value


RULES = (
    Rule(
        "mask_inverted",
        "a mask with the opposite meaning",
        "True and False of a boolean mask are exchanged.",
        "nn.MultiheadAttention: True drops; F.scaled_dot_product_attention and JAX: True keeps. "
        "Invert the masks of nn.MultiheadAttention only; masked_fill fills where the mask is True.",
        "everything differs, rows that keep nothing are NaN",
        (*SCORES, "masked_fill", "where"),
        (_with_masks(torch.logical_not), _inverted_fill, _inverted_where),
    ),
    Rule(
        "key_padding_mask_ignored",
        "nn.MultiheadAttention without its key_padding_mask",
        "Padded keys are attended to.",
        "key_padding_mask (batch, keys), True = drop, applies to all heads and queries.",
        "only samples with padding differ",
        (MHA,),
        (_no_padding_mask,),
    ),
    Rule(
        "mask_ignored",
        "attention without its mask",
        "The mask, or is_causal, has no effect.",
        "Pass the mask: boolean with True = keep, or added to the scores where it is float.",
        "early positions see later ones",
        (*SCORES, "masked_fill"),
        (_no_mask, _no_fill),
    ),
    Rule(
        "mask_added",
        "a boolean mask added as 0 and 1",
        "The mask's 0 and 1 are added to the scores.",
        "A boolean mask selects: jnp.where(mask, scores, -inf). Only float masks are added.",
        "weights differ by factors of e",
        SCORES,
        (_with_masks(_added_ones),),
    ),
    Rule(
        "causal_alignment",
        "causal mask aligned at the end",
        "The last query sees all keys.",
        "is_causal=True aligns at the start: query i sees keys 0…i, whatever the lengths.",
        "differs only where queries and keys have different lengths",
        (SDPA,),
        (_causal_from_end,),
    ),
    Rule(
        "causal_diagonal",
        "causal mask off by one",
        "The diagonal of triu or tril is shifted by one.",
        "Keep the source's diagonal: jnp.triu(x, k=diagonal), jnp.tril(x, k=diagonal).",
        "each position sees one more or one fewer",
        ("triu", "tril"),
        (_shifted_diagonal(1), _shifted_diagonal(-1)),
    ),
    Rule(
        "masked_rows_average",
        "rows without any allowed key average all keys",
        "finfo.min stands for -inf, so a fully masked row becomes uniform.",
        "torch gives NaN (or 0 in fused kernels) for such rows: use -inf and decide on purpose.",
        "finite values where the source has NaN or 0",
        (SDPA, "softmax"),
        (_average_masked_rows, _softmax_of_masked_rows),
    ),
    Rule(
        "qk_swap",
        "queries and keys exchanged",
        "Queries are used as keys and keys as queries.",
        "in_proj_weight holds q, k, v in this order; scores are q k^T, rows are queries.",
        "the scores are transposed",
        (*SCORES, "matmul", "bmm"),
        (_queries_and_keys, _transposed_scores),
    ),
    Rule(
        "kv_swap",
        "keys and values exchanged",
        "Keys are used as values and values as keys.",
        "The order is query, key, value, in arguments and in packed projections.",
        "everything differs",
        (SDPA,),
        (_key_value_swapped,),
    ),
    Rule(
        "missing_scale",
        "scores without their scale",
        "The scores are not divided by sqrt(head dimension).",
        "F.scaled_dot_product_attention divides by sqrt(E) unless scale is given; so does "
        "jax.nn.dot_product_attention; an einsum of one's own must.",
        "too sharp attention",
        (*SCORES, "mul", "div"),
        (_fused_scale(lambda site, own: 1.0), _handmade_scale(0.0)),
    ),
    Rule(
        "double_scale",
        "scores scaled twice",
        "The scale is applied to the queries and again in the attention function.",
        "Scale once: either the queries or the scores, not both.",
        "too flat attention",
        (*SCORES, "mul", "div"),
        (_fused_scale(lambda site, own: own * own), _handmade_scale(2.0)),
    ),
    Rule(
        "scale_of_embedding",
        "scores scaled by the whole embedding",
        "The scores are divided by sqrt(embedding dimension).",
        "The divisor is sqrt(head dimension), embedding / heads.",
        "too flat attention, exact with one head",
        SCORES,
        (_fused_scale(_full_scale),),
    ),
    Rule(
        "grouped_heads_tiled",
        "shared key heads tiled",
        "Key heads are tiled as 0 1 0 1.",
        "With enable_gqa key head j serves the block j of query heads: jnp.repeat(k, times, axis), "
        "not jnp.tile.",
        "everything differs unless there is one key head",
        (SDPA,),
        (_unequal_heads,),
    ),
    Rule(
        "qkv_order",
        "packed projection read in another order",
        "The axis of q, k, v and the axis of heads are exchanged.",
        "Reshape as the source does: (…, 3, heads, d) and (…, heads, 3, d) are different layouts.",
        "everything differs",
        ("view", "reshape"),
        (_other_fusion,),
    ),
    Rule(
        "head_split_order",
        "heads split in the other order",
        "The embedding is read as (d, heads) where it is (heads, d), or the reverse.",
        "Reshape in the source's order, then transpose.",
        "everything differs",
        ("view", "reshape"),
        (_other_split,),
    ),
    Rule(
        "rope_pairing",
        "rotary positions with the other pairing",
        "Neighbours are rotated together where the source rotates halves, or the reverse.",
        "Keep the source's pairing: (x[i], x[i+d/2]) in half-split code, (x[2i], x[2i+1]) in "
        "interleaved or complex code.",
        "everything but position 0 differs",
        functions=re.compile(r"rot(ary|ate)|rope|apply_rot", re.IGNORECASE),
        wrappers=(_in_other_order(_half_of, _pairs_of), _in_other_order(_pairs_of, _half_of)),
    ),
)
