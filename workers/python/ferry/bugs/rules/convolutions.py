"""Convolutions and what pads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ferry.bugs.rule import Rule
from ferry.bugs.site import SAME, Site

CONVS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
Pair = tuple[int, int]


def same_pads(sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int]) -> list[Pair]:
    """XLA's SAME: the output has ceil(size / stride) elements, the odd pad goes to the end."""
    pads = []
    for size, window, stride in zip(sizes, windows, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def padded(x: Tensor, pads: Sequence[Pair], value: float = 0.0) -> Tensor:
    """`x` with (low, high) pads for each of its last axes, in their order."""
    flat = [edge for pair in reversed(pads) for edge in pair]
    return F.pad(x, flat, value=value)


def _batched(site: Site) -> bool:
    return bool(site["input"].ndim == site["weight"].ndim)


def _windows(site: Site) -> list[int]:
    """The extent of the dilated kernel along each spatial axis."""
    kernel = site["weight"].shape[2:]
    return [d * (k - 1) + 1 for d, k in zip(site.each("dilation"), kernel, strict=True)]


def _flipped(site: Site) -> Any:
    weight = site["weight"]
    spatial = list(range(2, weight.ndim))
    if all(weight.shape[d] == 1 for d in spatial):
        return SAME
    return site.original(weight=weight.flip(spatial))


def _same(site: Site) -> Any:
    if not _batched(site) or site["padding"] == "same":
        return SAME
    x = site["input"]
    pads = same_pads(x.shape[2:], _windows(site), site.each("stride"))
    if [(p, p) for p in _explicit(site)] == pads:
        return SAME
    return site.original(input=padded(x, pads), padding=0)


def _explicit(site: Site) -> tuple[int, ...]:
    return (0,) * site.dims if site["padding"] == "valid" else site.each("padding")


def _even_left(site: Site) -> Any:
    """padding='same' of an even kernel with the odd pad in front."""
    if not _batched(site) or site["padding"] != "same":
        return SAME
    pads = [(w - 1 - (w - 1) // 2, (w - 1) // 2) for w in _windows(site)]
    return site.original(input=padded(site["input"], pads), padding=0)


def _causal(site: Site) -> Any:
    """All padding in front, as for a causal convolution."""
    if not _batched(site) or isinstance(site["padding"], str) or not any(site.each("padding")):
        return SAME
    pads = [(2 * p, 0) for p in site.each("padding")]
    return site.original(input=padded(site["input"], pads), padding=0)


def _valid(site: Site) -> Any:
    if not _batched(site) or (site["padding"] != "same" and not any(_explicit(site))):
        return SAME
    return site.original(padding=0)


def _undilated(site: Site) -> Any:
    return SAME if all(d == 1 for d in site.each("dilation")) else site.original(dilation=1)


def _axes_swapped(site: Site) -> Any:
    weight = site["weight"]
    if weight.ndim < 4 or weight.shape[-1] != weight.shape[-2]:
        return SAME
    return site.original(weight=weight.mT)


def _channels_swapped(site: Site) -> Any:
    weight = site["weight"]
    if weight.shape[0] != weight.shape[1] or weight.shape[0] == 1:
        return SAME
    return site.original(weight=weight.transpose(0, 1))


def _interleaved_groups(site: Site) -> Any:
    """Group g takes every groups-th input channel instead of a contiguous block."""
    groups, x = site["groups"], site["input"]
    if not _batched(site) or groups == 1 or x.shape[1] == groups:
        return SAME
    blocks = x.reshape(x.shape[0], -1, groups, *x.shape[2:]).transpose(1, 2)
    return site.original(input=blocks.reshape(x.shape))


def _stride_one(site: Site) -> Any:
    return SAME if all(s == 1 for s in site.each("stride")) else site.original(stride=1)


def _no_bias(site: Site) -> Any:
    return SAME if site["bias"] is None else site.original(bias=None)


def _zero_mode(site: Site) -> Any:
    return SAME if site["mode"] == "constant" else site.original(mode="constant", value=0.0)


def _padding_of_dilated(site: Site) -> Any:
    """The transposed padding taken as padding of the dilated input (conv's own meaning)."""
    if not _batched(site) or any(site.each("output_padding")):
        return SAME
    wanted = [w - 1 - p for w, p in zip(_windows(site), site.each("padding"), strict=True)]
    if tuple(wanted) == site.each("padding") or min(wanted) < 0:
        return SAME
    return site.original(padding=tuple(wanted))


def _transposed_same(site: Site) -> Any:
    """padding='SAME' of lax.conv_transpose: the output has size * stride elements."""
    x, strides = site["input"], site.each("stride")
    if not _batched(site):
        return SAME
    full = site.original(padding=0, output_padding=0, bias=None)
    for axis, (window, stride) in enumerate(zip(_windows(site), strides, strict=True), 2):
        total = window + stride - 2
        low = window - 1 if stride > window - 1 else -(-total // 2)
        start = window - 1 - low
        size = x.shape[axis] * stride
        short = start + size - full.shape[axis]
        if short > 0:
            pads = [(0, short if d == axis else 0) for d in range(2, full.ndim)]
            full = padded(full, pads)
        full = full.narrow(axis, start, size)
    bias = site["bias"]
    return full if bias is None else full + bias.reshape(-1, *[1] * site.dims)


def _transposed_same_flipped(site: Site) -> Any:
    """The same with the unflipped kernel of transpose_kernel=False."""
    weight = site["weight"].flip(list(range(2, site["weight"].ndim)))
    arguments = {name: site[name] for name in ("input", "bias", "stride", "dilation", "groups")}
    return _transposed_same(Site(site.op, site.original, (), {**arguments, "weight": weight}))


def _no_output_padding(site: Site) -> Any:
    return SAME if not any(site.each("output_padding")) else site.original(output_padding=0)


RULES = (
    Rule(
        "conv_flipped_kernel",
        "convolution with a flipped kernel",
        "The kernel is reversed along its spatial axes, as for a true convolution.",
        "nn.Conv is a cross-correlation, as lax.conv_general_dilated: permute the weight, no flip.",
        "everything differs unless the kernel is symmetric",
        CONVS,
        (_flipped,),
    ),
    Rule(
        "conv_same_padding",
        "convolution with SAME padding",
        "padding='SAME' is used, the default of nnx.Conv.",
        "Pass explicit pairs, padding=((p, p), …): SAME differs from torch's symmetric padding "
        "as soon as the stride is above 1, and from padding=0 always.",
        "another output size, or all windows shifted by one",
        CONVS,
        (_same,),
    ),
    Rule(
        "conv_valid_padding",
        "convolution without its padding",
        "No padding is applied.",
        "Pass explicit pairs, padding=((p, p), …), from the module's padding.",
        "smaller output",
        CONVS,
        (_valid,),
    ),
    Rule(
        "conv_causal_padding",
        "padding all in front",
        "All of the padding is put before the first element.",
        "nn.Conv pads both ends by p; causal padding is something the source does by hand.",
        "the output is shifted by p",
        CONVS,
        (_causal,),
    ),
    Rule(
        "conv_same_odd_pad",
        "padding='same' of an even kernel with the odd pad in front",
        "The extra element is put before the first.",
        "torch's padding='same' puts the odd pad at the end, as XLA's SAME does.",
        "the output is shifted by one, only for even dilated kernels",
        CONVS,
        (_even_left,),
    ),
    Rule(
        "conv_dilation",
        "convolution without its dilation",
        "The kernel is not dilated.",
        "Pass kernel_dilation=<the module's dilation> (rhs_dilation in lax).",
        "another output size unless the padding hides it",
        (*CONVS, *TRANSPOSED),
        (_undilated,),
    ),
    Rule(
        "conv_stride",
        "convolution without its stride",
        "Stride 1 is used, the default of nnx.Conv.",
        "Pass strides=<the module's stride>.",
        "larger output",
        (*CONVS, *TRANSPOSED),
        (_stride_one,),
    ),
    Rule(
        "conv_kernel_axes",
        "kernel height and width exchanged",
        "The weight is permuted with 3, 2, 1, 0.",
        "(out, in, kH, kW) becomes (kH, kW, in, out) by the permutation 2, 3, 1, 0.",
        "everything differs; only square kernels let it pass the shapes",
        (*CONVS, *TRANSPOSED),
        (_axes_swapped,),
    ),
    Rule(
        "conv_channels_swapped",
        "input and output channels of a kernel exchanged",
        "The kernel is used with its channel axes exchanged.",
        "nn.Conv's weight is (out, in/groups, …), nn.ConvTranspose's (in, out/groups, …); flax wants "
        "(…, in/groups, out).",
        "everything differs; only as many inputs as outputs let it pass the shapes",
        (*CONVS, *TRANSPOSED),
        (_channels_swapped,),
    ),
    Rule(
        "conv_interleaved_groups",
        "groups take every n-th channel",
        "Input channels are dealt to the groups in turn.",
        "Group g takes the contiguous block g of channels: feature_group_count=groups does that.",
        "everything differs where groups is neither 1 nor the number of channels",
        CONVS,
        (_interleaved_groups,),
    ),
    Rule(
        "conv_bias_missing",
        "convolution without its bias",
        "The bias is not added.",
        "Map the bias and keep use_bias on.",
        "the difference is one constant per channel",
        (*CONVS, *TRANSPOSED),
        (_no_bias,),
    ),
    Rule(
        "padding_mode_zeros",
        "zeros instead of reflected, replicated or circular padding",
        "The edge is padded with zeros.",
        "Pad first with jnp.pad (reflect → 'reflect', replicate → 'edge', circular → 'wrap'), then "
        "use VALID: nnx.Conv knows only zeros and CIRCULAR.",
        "only a border of the output differs",
        ("pad",),
        (_zero_mode,),
    ),
    Rule(
        "conv_transpose_kernel",
        "transposed convolution with an unflipped kernel",
        "The kernel is not flipped (lax.conv_transpose and nnx.ConvTranspose as they come).",
        "Use transpose_kernel=True, or flip the kernel's spatial axes in the weight map.",
        "everything differs unless the kernel is symmetric",
        TRANSPOSED,
        (_flipped,),
    ),
    Rule(
        "conv_transpose_padding",
        "padding of a transposed convolution taken literally",
        "The dilated input is padded by p.",
        "torch crops the full output by p: pad the dilated input by dilation*(k-1)-p, or compute "
        "VALID and crop.",
        "another output size unless 2p = k-1",
        TRANSPOSED,
        (_padding_of_dilated,),
    ),
    Rule(
        "conv_transpose_same",
        "transposed convolution with SAME padding",
        "padding='SAME' is used, the default of nnx.ConvTranspose.",
        "Use VALID and crop by the module's padding, then pad for output_padding.",
        "the output has size*stride elements",
        TRANSPOSED,
        (_transposed_same, _transposed_same_flipped),
    ),
    Rule(
        "conv_transpose_output_padding",
        "transposed convolution without output_padding",
        "output_padding is ignored.",
        "It adds rows and columns at the end of the output that the full convolution covers: crop "
        "less there.",
        "output smaller by output_padding",
        TRANSPOSED,
        (_no_output_padding,),
    ),
)
