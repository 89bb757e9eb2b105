"""Pooling."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F

from ferry.bugs.rule import Rule, given
from ferry.bugs.rules.convolutions import padded, same_pads
from ferry.bugs.site import SAME, Site

AVERAGE = ("avg_pool1d", "avg_pool2d", "avg_pool3d")
MAXIMUM = ("max_pool1d", "max_pool2d", "max_pool3d")
ADAPTIVE = ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
_AVERAGES: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _other_count(site: Site) -> Any:
    if not any(site.each("padding")):
        return SAME
    return site.original(count_include_pad=not site["count_include_pad"])


def _zero_padding(site: Site) -> Any:
    pads = site.each("padding")
    if site["input"].ndim != site.dims + 2 or not any(pads):
        return SAME
    return site.original(input=padded(site["input"], [(p, p) for p in pads]), padding=0)


def _stride_one(site: Site) -> Any:
    """The stride left at flax's default where torch's is the window."""
    strides = site.each("stride" if site["stride"] else "kernel_size")
    return SAME if all(s == 1 for s in strides) else site.original(stride=1)


def _same(site: Site) -> Any:
    x, average = site["input"], site.op in AVERAGE
    strides = site.each("stride" if site["stride"] else "kernel_size")
    pads = same_pads(x.shape[2:], site.each("kernel_size"), strides)
    if pads == [(p, p) for p in site.each("padding")] or (not average and site["return_indices"]):
        return SAME
    edge = 0.0 if average else -math.inf
    return site.original(input=padded(x, pads, edge), padding=0, ceil_mode=False)


def _no_padding(site: Site) -> Any:
    return site.original(padding=0) if any(site.each("padding")) else SAME


def _uniform_bins(site: Site) -> Any:
    """Equal windows at equal steps, right only where the sizes divide."""
    x, sizes = site["input"], site["output_size"]
    sizes = sizes if isinstance(sizes, tuple | list) else (sizes,) * site.dims
    wanted = [n or s for n, s in zip(sizes, x.shape[2:], strict=True)]
    if all(s % n == 0 for n, s in zip(wanted, x.shape[2:], strict=True)):
        return SAME
    steps = [s // n for n, s in zip(wanted, x.shape[2:], strict=True)]
    if 0 in steps:
        return SAME
    windows = [s - (n - 1) * step for n, s, step in zip(wanted, x.shape[2:], steps, strict=True)]
    return _AVERAGES[site.dims](x, tuple(windows), tuple(steps))


RULES = (
    Rule(
        "avg_pool_count_include_pad",
        "average pooling counts padding the other way",
        "Padded zeros are left out of the divisor where the source counts them, or the reverse.",
        "torch's default count_include_pad=True divides by the whole window, as nnx.avg_pool does; "
        "pass the source's flag.",
        "only windows that reach over the edge differ",
        AVERAGE,
        (_other_count,),
    ),
    Rule(
        "max_pool_zero_padding",
        "max pooling pads with zeros",
        "The edge is padded with 0, which wins over negative values.",
        "torch pads with -inf: use explicit pads of lax.reduce_window with init -inf.",
        "only windows that reach over the edge and are all negative differ",
        MAXIMUM,
        (_zero_padding,),
    ),
    Rule(
        "pool_stride",
        "pooling with stride 1",
        "Stride 1 is used, the default of nnx.max_pool and nnx.avg_pool.",
        "torch's stride is kernel_size unless given: pass strides=window_shape.",
        "larger output",
        (*AVERAGE, *MAXIMUM),
        (_stride_one,),
    ),
    Rule(
        "pool_same_padding",
        "pooling with SAME padding",
        "padding='SAME' is used.",
        "Pass explicit pairs from the module's padding: ((p, p), …).",
        "another output size, or all windows shifted",
        (*AVERAGE, *MAXIMUM),
        (_same,),
    ),
    Rule(
        "pool_padding_missing",
        "pooling without its padding",
        "padding='VALID' is used, the default of nnx.max_pool and nnx.avg_pool.",
        "Pass explicit pairs from the module's padding: ((p, p), …).",
        "smaller output",
        (*AVERAGE, *MAXIMUM),
        (_no_padding,),
    ),
    Rule(
        "pool_ceil_mode",
        "pooling without ceil_mode",
        "The last, partial window is dropped.",
        "ceil_mode=True keeps it: add high padding (-inf for max; not counted for average).",
        "output smaller by one where the sizes do not divide",
        (*AVERAGE, *MAXIMUM),
        (given(ceil_mode=False),),
    ),
    Rule(
        "max_pool_dilation",
        "max pooling without its dilation",
        "The window is not dilated.",
        "Pass window_dilation to lax.reduce_window.",
        "another output size, or smaller maxima",
        MAXIMUM,
        (given(dilation=1),),
    ),
    Rule(
        "avg_pool_divisor",
        "average pooling without divisor_override",
        "The sum is divided by the size of the window.",
        "divisor_override replaces the divisor: take a sum window and divide by it.",
        "all values off by one factor",
        AVERAGE,
        (given(divisor_override=None),),
    ),
    Rule(
        "adaptive_pool_bins",
        "adaptive pooling with equal windows",
        "One window size and step is used for all outputs.",
        "Output i covers floor(i*in/out) up to ceil((i+1)*in/out): static bins from the shapes.",
        "differs only where the size is no multiple of the output size",
        ADAPTIVE,
        (_uniform_bins,),
    ),
)
