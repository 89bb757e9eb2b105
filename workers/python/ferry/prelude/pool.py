"""Pooling over the last axes: explicit pads, ceil_mode, dilation, divisors, adaptive bins."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ferry.prelude.base import ntuple


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """Windows along an axis; with ceil_mode the last may overhang, but must start inside."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (span + stride - 1 if ceil_mode else span) // stride + 1
    starts_outside = (count - 1) * stride >= size + padding
    return count - 1 if ceil_mode and starts_outside else count


def window_starts(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> np.ndarray:
    """Where the windows of an axis start, counted from its first element."""
    count = pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    return np.arange(count) * stride - padding


def reduce_pads(size: int, kernel: int, starts: np.ndarray) -> tuple[int, int]:
    """Padding below and above that makes every window fit."""
    return -int(starts[0]), max(int(starts[-1]) + kernel - size, 0)


def reduce_windows(
    input: jax.Array,
    initial: Any,
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[tuple[int, int]],
) -> jax.Array:
    """Combine the elements of each window over the last axes, one for each size in `kernel`.

    Channels go last meanwhile: XLA combines whole rows of them.
    """
    rank = len(kernel)
    lead = (1,) * (input.ndim - rank - 1)
    margins = [(0, 0)] * len(lead) + [*pads, (0, 0)]
    reduced: jax.Array = lax.reduce_window(
        jnp.moveaxis(input, -rank - 1, -1),
        initial,
        combine,
        (*lead, *kernel, 1),
        (*lead, *strides, 1),
        margins,
    )
    return jnp.moveaxis(reduced, -1, -rank - 1)


def max_pool(
    input: jax.Array,
    rank: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Largest element of each window over the last `rank` axes; padding never wins.

    The gradient goes to the first of equal elements.
    """
    kernel = ntuple(kernel_size, rank)
    steps = kernel if stride is None else ntuple(stride, rank)
    dilations = ntuple(dilation, rank)
    axes = zip(input.shape[-rank:], kernel, steps, ntuple(padding, rank), dilations, strict=True)
    starts = [window_starts(*axis, ceil_mode) for axis in axes]
    if max(dilations) > 1:
        return dilated_max_pool(input, kernel, dilations, starts)
    axes_pads = zip(input.shape[-rank:], kernel, starts, strict=True)
    pads = [reduce_pads(*axis) for axis in axes_pads]
    return reduce_windows(input, -jnp.inf, lax.max, kernel, steps, pads)


def dilated_max_pool(
    input: jax.Array,
    kernel: Sequence[int],
    dilation: Sequence[int],
    starts: Sequence[np.ndarray],
) -> jax.Array:
    """Max pool by gathered windows, one axis after the other, from the last to the first."""
    for axis in range(-1, -len(kernel) - 1, -1):
        offsets = np.arange(kernel[axis]) * dilation[axis]
        index = starts[axis][:, None] + offsets
        input = max_of_bins(input, axis, index)
    return input


def max_of_bins(input: jax.Array, axis: int, index: np.ndarray) -> jax.Array:
    """Largest of the elements `index[i]` along `axis`, for each i; indices outside are skipped.

    The first of equal elements is taken, and it alone receives the gradient.
    """
    size = input.shape[axis]
    rows = jnp.moveaxis(input, axis, -1)
    inside = (index >= 0) & (index < size)
    windows = jnp.where(inside, rows[..., np.clip(index, 0, size - 1)], -jnp.inf)
    winner = jnp.argmax(windows, -1, keepdims=True)
    return jnp.moveaxis(jnp.take_along_axis(windows, winner, -1)[..., 0], -1, axis)


def avg_pool(
    input: jax.Array,
    rank: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window over the last `rank` axes.

    The divisor counts padding if `count_include_pad`, never the overhang of ceil_mode.
    """
    kernel = ntuple(kernel_size, rank)
    steps = kernel if stride is None else ntuple(stride, rank)
    margins = ntuple(padding, rank)
    sizes = input.shape[-rank:]
    axes = list(zip(sizes, kernel, steps, margins, strict=True))
    starts = [window_starts(*axis, 1, ceil_mode) for axis in axes]
    pads = [reduce_pads(*axis) for axis in zip(sizes, kernel, starts, strict=True)]
    total = reduce_windows(input, np.zeros((), input.dtype), lax.add, kernel, steps, pads)
    if divisor_override is not None:
        return total / divisor_override
    for axis, (size, width, _, margin) in enumerate(axes):
        reach = margin if count_include_pad else 0
        low = np.maximum(starts[axis], -reach)
        count = np.minimum(starts[axis] + width, size + reach) - low
        total = total / count.reshape(-1, *(1,) * (rank - 1 - axis)).astype(total.dtype)
    return total


def adaptive_bins(size: int, count: int) -> np.ndarray:
    """Indices of `count` bins that cover `size` elements, floor to ceil; -1 fills short bins."""
    first = np.arange(count) * size // count
    last = -(-(np.arange(1, count + 1) * size) // count)
    index = first[:, None] + np.arange((last - first).max())
    return np.where(index < last[:, None], index, -1)


def adaptive_sizes(
    input: jax.Array, rank: int, output_size: int | Sequence[int | None] | None
) -> list[int]:
    """The output size of each axis; None keeps the input's."""
    wanted = output_size if isinstance(output_size, Sequence) else (output_size,) * rank
    sizes = zip(wanted, input.shape[-rank:], strict=True)
    return [size if want is None else want for want, size in sizes]


def adaptive_avg_pool(
    input: jax.Array, rank: int, output_size: int | Sequence[int | None] | None
) -> jax.Array:
    """Mean of adaptive bins over the last `rank` axes."""
    for axis, count in zip(range(-rank, 0), adaptive_sizes(input, rank, output_size), strict=True):
        rows = jnp.moveaxis(input, axis, -1)
        if rows.shape[-1] % count == 0:
            means = jnp.mean(rows.reshape(*rows.shape[:-1], count, -1), -1)
        else:
            index = adaptive_bins(rows.shape[-1], count)
            means = jnp.mean(rows[..., np.maximum(index, 0)], -1, where=jnp.asarray(index >= 0))
        input = jnp.moveaxis(means, -1, axis)
    return input


def adaptive_max_pool(
    input: jax.Array, rank: int, output_size: int | Sequence[int | None] | None
) -> jax.Array:
    """Largest element of adaptive bins over the last `rank` axes."""
    sizes = adaptive_sizes(input, rank, output_size)
    for axis in range(-1, -rank - 1, -1):
        input = max_of_bins(input, axis, adaptive_bins(input.shape[axis], sizes[axis]))
    return input


def lp_pool(
    input: jax.Array,
    rank: int,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """`(sum of x ** p) ** (1 / p)` of each window; an overhanging window is scaled to full size."""
    mean = avg_pool(input**norm_type, rank, kernel_size, stride, 0, ceil_mode)
    return (mean * math.prod(ntuple(kernel_size, rank))) ** (1.0 / norm_type)


def refuse_indices(return_indices: bool) -> None:
    """Pools hand out values only."""
    if return_indices:
        raise ValueError("pooling with return_indices is not supported")


def max_pool1d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array:
    """Max pool over (N, C, L), batch optional."""
    refuse_indices(return_indices)
    return max_pool(input, 1, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array:
    """Max pool over (N, C, H, W), batch optional."""
    refuse_indices(return_indices)
    return max_pool(input, 2, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> jax.Array:
    """Max pool over (N, C, D, H, W), batch optional."""
    refuse_indices(return_indices)
    return max_pool(input, 3, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> jax.Array:
    """Average pool over (N, C, L), batch optional."""
    return avg_pool(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Average pool over (N, C, H, W), batch optional."""
    return avg_pool(
        input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Average pool over (N, C, D, H, W), batch optional."""
    return avg_pool(
        input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_avg_pool1d(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> jax.Array:
    """Adaptive average pool over (N, C, L), batch optional."""
    return adaptive_avg_pool(input, 1, output_size)


def adaptive_avg_pool2d(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> jax.Array:
    """Adaptive average pool over (N, C, H, W), batch optional."""
    return adaptive_avg_pool(input, 2, output_size)


def adaptive_avg_pool3d(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> jax.Array:
    """Adaptive average pool over (N, C, D, H, W), batch optional."""
    return adaptive_avg_pool(input, 3, output_size)


def adaptive_max_pool1d(
    input: jax.Array,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> jax.Array:
    """Adaptive max pool over (N, C, L), batch optional."""
    refuse_indices(return_indices)
    return adaptive_max_pool(input, 1, output_size)


def adaptive_max_pool2d(
    input: jax.Array,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> jax.Array:
    """Adaptive max pool over (N, C, H, W), batch optional."""
    refuse_indices(return_indices)
    return adaptive_max_pool(input, 2, output_size)


def adaptive_max_pool3d(
    input: jax.Array,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> jax.Array:
    """Adaptive max pool over (N, C, D, H, W), batch optional."""
    refuse_indices(return_indices)
    return adaptive_max_pool(input, 3, output_size)


def lp_pool1d(
    input: jax.Array,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power-average pool over (N, C, L), batch optional."""
    return lp_pool(input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: jax.Array,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power-average pool over (N, C, H, W), batch optional."""
    return lp_pool(input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: jax.Array,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power-average pool over (N, C, D, H, W), batch optional."""
    return lp_pool(input, 3, norm_type, kernel_size, stride, ceil_mode)
