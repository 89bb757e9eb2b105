"""Linear maps, embeddings and precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule, given
from ferry.bugs.site import SAME, Site


def _transposed(site: Site) -> Any:
    weight = site["weight"]
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        return SAME
    return site.original(weight=weight.T)


def _no_bias(site: Site) -> Any:
    return SAME if site["bias"] is None else site.original(bias=None)


def _reshaped(site: Site) -> Any:
    """The weight's numbers in row order under the transposed shape."""
    weight = site["weight"]
    if weight.ndim != 2 or 1 in weight.shape:
        return SAME
    return site.original(weight=weight.reshape(weight.shape[1], weight.shape[0]).T)


def _coarse(value: Any) -> Any:
    real = isinstance(value, Tensor) and value.is_floating_point()
    return _bfloat16(value) if real else value


def _bfloat16(value: Tensor) -> Tensor:
    """`value` rounded to 8 significant bits, in its own dtype."""
    mantissa, exponent = torch.frexp(value)
    return torch.ldexp(torch.round(mantissa * 256.0) / 256.0, exponent).to(value.dtype)


def _coarse_operands(site: Site) -> Any:
    other = "weight" if site.has("weight") else "mat2" if site.op == "bmm" else "other"
    if site["input"].dtype.is_complex:
        return SAME
    return site.original(input=_coarse(site["input"]), **{other: _coarse(site[other])})


def _zero_padding_row(site: Site) -> Any:
    index = site["padding_idx"]
    if index is None:
        return SAME
    weight = site["weight"].clone()
    weight[index] = 0
    return site.original(weight=weight)


def _scaled(site: Site) -> Any:
    return site.original() * site["weight"].shape[1] ** 0.5


RULES = (
    Rule(
        "transposed_square_weight",
        "a square weight not transposed",
        "The kernel is used transposed.",
        "nn.Linear's weight is (out, in), flax's kernel (in, out): permute 1, 0. A square weight "
        "hides the mistake from shapes.",
        "everything differs",
        ("linear",),
        (_transposed,),
    ),
    Rule(
        "weight_reshaped",
        "a weight reshaped instead of transposed",
        "The weight's numbers are kept in their order under the shape (in, out).",
        "Transpose: permute 1, 0; reshape moves no numbers.",
        "everything differs",
        ("linear",),
        (_reshaped,),
    ),
    Rule(
        "linear_bias_missing",
        "a linear layer without its bias",
        "The bias is not added.",
        "Map the bias and keep use_bias on.",
        "the difference is one constant per feature",
        ("linear",),
        (_no_bias,),
    ),
    Rule(
        "matmul_precision",
        "matrix products of bfloat16 operands",
        "Operands are rounded to bfloat16, as the default precision of accelerators does.",
        "Ask for precision='highest' (jax.default_matmul_precision) where parity matters.",
        "relative error about 2e-3",
        ("linear", "matmul", "bmm", "conv1d", "conv2d", "conv3d"),
        (_coarse_operands,),
    ),
    Rule(
        "embedding_padding_row",
        "the padding row of an embedding read as zeros",
        "padding_idx is looked up as zeros.",
        "padding_idx only stops the gradient and zeroes the initial row: the forward reads the row.",
        "only positions with the padding index differ",
        ("embedding",),
        (_zero_padding_row,),
    ),
    Rule(
        "embedding_max_norm",
        "an embedding without its max_norm",
        "Long rows are looked up as they are.",
        "max_norm rescales the rows that are looked up (and writes them back).",
        "rows longer than max_norm are too long",
        ("embedding",),
        (given(max_norm=None),),
    ),
    Rule(
        "embedding_scaled",
        "an embedding scaled by sqrt(dim)",
        "The looked-up rows are multiplied by the root of their length.",
        "nn.Embedding scales nothing; only what the source writes out is applied.",
        "all values off by one factor",
        ("embedding",),
        (_scaled,),
    ),
)
