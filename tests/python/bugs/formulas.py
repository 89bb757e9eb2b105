"""Layers written out by hand, so that a test does not ask the code that it tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Pairs = Sequence[tuple[int, int]]


def pad(x: Tensor, pairs: Pairs, value: float = 0.0) -> Tensor:
    """`x` in a larger block; `pairs` are for the last axes, in order."""
    lead = x.ndim - len(pairs)
    sizes = [
        *x.shape[:lead],
        *(low + s + high for (low, high), s in zip(pairs, x.shape[lead:], strict=True)),
    ]
    out = torch.full(sizes, value, dtype=x.dtype)
    inside = tuple(slice(low, low + s) for (low, _), s in zip(pairs, x.shape[lead:], strict=True))
    out[(..., *inside)] = x
    return out


def windows(x: Tensor, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]):
    """The position of each output, with the slices of its window."""
    spatial = x.shape[2:]
    counts = [
        (s - d * (k - 1) - 1) // t + 1
        for s, k, t, d in zip(spatial, sizes, strides, dilations, strict=True)
    ]
    for place in itertools.product(*map(range, counts)):
        at = [
            slice(p * t, p * t + d * (k - 1) + 1, d)
            for p, k, t, d in zip(place, sizes, strides, dilations, strict=True)
        ]
        yield place, counts, at


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pairs: Pairs | None = None,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation by its definition."""
    n = weight.ndim - 2
    x = pad(x, pairs) if pairs else x
    per = weight.shape[1]
    outs = weight.shape[0] // groups
    result = None
    for place, counts, at in windows(x, weight.shape[2:], [stride] * n, [dilation] * n):
        if result is None:
            result = torch.zeros(x.shape[0], weight.shape[0], *counts, dtype=x.dtype)
        for g in range(groups):
            block = x[(slice(None), slice(g * per, (g + 1) * per), *at)].flatten(1)
            kernel = weight[g * outs : (g + 1) * outs].flatten(1)
            result[(slice(None), slice(g * outs, (g + 1) * outs), *place)] = block @ kernel.T
    return result if bias is None else result + bias.reshape(-1, *[1] * n)


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1):
    """Each input element adds the kernel to the output."""
    n = weight.ndim - 2
    sizes = [(s - 1) * stride + k for s, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    out = torch.zeros(x.shape[0], weight.shape[1], *sizes, dtype=x.dtype)
    for place in itertools.product(*map(range, x.shape[2:])):
        at = tuple(
            slice(p * stride, p * stride + k) for p, k in zip(place, weight.shape[2:], strict=True)
        )
        added = torch.einsum("bi,io...->bo...", x[(..., *place)], weight)
        out[(slice(None), slice(None), *at)] += added
    return out if bias is None else out + bias.reshape(-1, *[1] * n)


def pool(
    x: Tensor,
    reduce: Callable[[Tensor], Tensor],
    size: int,
    stride: int,
    pairs: Pairs | None = None,
    value: float = 0.0,
    dilation: int = 1,
) -> Tensor:
    """`reduce` of each window, flattened to its last axis."""
    n = x.ndim - 2
    x = pad(x, pairs, value) if pairs else x
    result = None
    for place, counts, at in windows(x, [size] * n, [stride] * n, [dilation] * n):
        if result is None:
            result = torch.zeros(*x.shape[:2], *counts, dtype=x.dtype)
        result[(..., *place)] = reduce(x[(..., *at)].flatten(2))
    return result


def largest(window: Tensor) -> Tensor:
    return window.max(-1).values


def mean(window: Tensor) -> Tensor:
    return window.sum(-1) / window.shape[-1]


def normal(x: Tensor, dims: Sequence[int], eps: float, ddof: int = 0) -> Tensor:
    """Zero mean and unit variance along `dims`."""
    count = math.prod(x.shape[d] for d in dims)
    centred = x - x.sum(dims, keepdim=True) / count
    var = (centred * centred).sum(dims, keepdim=True) / (count - ddof)
    return centred / (var + eps).sqrt()


def channels(value: Tensor, x: Tensor) -> Tensor:
    """A vector per channel, shaped for axis 1 of `x`."""
    return value.reshape(1, -1, *[1] * (x.ndim - 2))


def attend(
    q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Softmax attention; `keep` is true where a query may see a key."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = torch.einsum("...qd,...kd->...qk", q, k) * scale
    if keep is not None:
        scores = torch.where(keep, scores, torch.full_like(scores, -math.inf))
    powers = torch.exp(scores - scores.max(-1, keepdim=True).values)
    return (powers / powers.sum(-1, keepdim=True)) @ v


def softmax(x: Tensor, dim: int) -> Tensor:
    powers = torch.exp(x)
    return powers / powers.sum(dim, keepdim=True)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def scan(step: Callable[..., Tensor | tuple[Tensor, ...]], x: Tensor, *state: Tensor) -> Tensor:
    """Outputs of a recurrent step along axis 0; the first part of the state is the output."""
    outputs = []
    for frame in x:
        new = step(frame, *state)
        state = new if isinstance(new, tuple) else (new,)
        outputs.append(state[0])
    return torch.stack(outputs)
