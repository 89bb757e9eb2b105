"""interpolate with torch's sampling positions, axis by axis, and the upsampling layers."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.prelude.base import Module, ntuple
from ferry.prelude.pool import adaptive_avg_pool


def sample_positions(size: int, count: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """Where in an axis of `size` elements the `count` outputs are read."""
    if align_corners:
        return np.arange(count) * ((size - 1) / (count - 1) if count > 1 else 0.0)
    step = size / count if scale is None else 1.0 / scale
    return (np.arange(count) + 0.5) * step - 0.5


def weighted_taps(input: jax.Array, axis: int, index: np.ndarray, weights: np.ndarray) -> jax.Array:
    """`out[i] = sum over k of weights[i, k] * input[index[i, k]]` along `axis`."""
    rows = jnp.moveaxis(input, axis, -1)
    taps = jnp.asarray(weights, input.dtype)
    total = sum(rows[..., index[:, k]] * taps[:, k] for k in range(index.shape[1]))
    return jnp.moveaxis(total, -1, axis)


def nearest_index(
    size: int, count: int, scale: float | None, exact: bool, dtype: jnp.dtype
) -> np.ndarray:
    """floor(i * step), or floor((i + 1/2) * step) if `exact`, rounded as torch rounds.

    Step and positions have the input's precision (at least single), and are floored as single
    precision numbers; both decide next to whole positions.
    """
    real = np.float64 if dtype == jnp.float64 else np.float32
    step = np.float64(real(size / count if scale is None else 1.0 / scale))
    half = 0.5 if exact else 0.0
    position = ((np.arange(count) + half) * step - half).astype(real)
    nearest = np.floor((np.maximum(position, 0) + half).astype(np.float32)).astype(int)
    return np.asarray(np.minimum(nearest, size - 1))


def resize_nearest(
    input: jax.Array, axis: int, count: int, scale: float | None, exact: bool
) -> jax.Array:
    """The element at or below each position, or (`exact`) the one around its centre."""
    index = nearest_index(input.shape[axis], count, scale, exact, input.dtype)
    return jnp.take(input, index, axis=axis)


def resize_linear(
    input: jax.Array, axis: int, count: int, scale: float | None, align_corners: bool
) -> jax.Array:
    """Linear interpolation; positions before the first element read it."""
    size = input.shape[axis]
    position = np.maximum(sample_positions(size, count, scale, align_corners), 0)
    low = np.minimum(np.floor(position).astype(int), size - 1)
    share = np.clip(position - low, 0, 1)
    index = np.stack([low, np.minimum(low + 1, size - 1)], 1)
    return weighted_taps(input, axis, index, np.stack([1 - share, share], 1))


def resize_cubic(
    input: jax.Array, axis: int, count: int, scale: float | None, align_corners: bool
) -> jax.Array:
    """Cubic convolution with a = -0.75 over four elements; edges are repeated."""
    size, a = input.shape[axis], -0.75
    position = sample_positions(size, count, scale, align_corners)
    low = np.floor(position).astype(int)
    offsets = np.arange(-1, 3)
    distance = np.abs((position - low)[:, None] - offsets)
    inner = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    outer = ((distance - 5) * distance + 8) * distance * a - 4 * a
    index = np.clip(low[:, None] + offsets, 0, size - 1)
    return weighted_taps(input, axis, index, np.where(distance <= 1, inner, outer))


def resize_smooth(
    input: jax.Array, counts: Sequence[int], scales: Sequence[float | None], method: str
) -> jax.Array:
    """Resize with a kernel that grows with the step where the result is smaller."""
    axes = tuple(range(2, input.ndim))
    factors = [
        count / input.shape[axis] if scale is None else scale
        for axis, count, scale in zip(axes, counts, scales, strict=True)
    ]
    shape = (*input.shape[:2], *counts)
    scale = jnp.array(factors, input.dtype)
    start = jnp.zeros(len(axes), input.dtype)
    return jax.image.scale_and_translate(input, shape, axes, scale, start, method, antialias=True)


def interpolate(
    input: jax.Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> jax.Array:
    """Resize all axes after the first two.

    A given `scale_factor` is itself the step between samples, unless it is to be recomputed.
    """
    rank = input.ndim - 2
    counts, scales = target_sizes(input.shape[2:], size, scale_factor)
    if recompute_scale_factor:
        scales = [None] * rank
    if mode == "area":
        return adaptive_avg_pool(input, rank, counts)
    corners = bool(align_corners)
    if antialias and not corners:
        return resize_smooth(input, counts, scales, "cubic" if mode == "bicubic" else "linear")
    for axis, (count, scale) in enumerate(zip(counts, scales, strict=True), start=2):
        if mode in ("nearest", "nearest-exact"):
            input = resize_nearest(input, axis, count, scale, mode == "nearest-exact")
        elif mode == "bicubic":
            input = resize_cubic(input, axis, count, scale, corners)
        else:
            input = resize_linear(input, axis, count, scale, corners)
    return input


def target_sizes(
    sizes: Sequence[int],
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
) -> tuple[list[int], list[float | None]]:
    """The output size and the given scale of each axis."""
    if scale_factor is None:
        if size is None:
            raise ValueError("interpolate needs size or scale_factor")
        return list(ntuple(size, len(sizes))), [None] * len(sizes)
    if isinstance(scale_factor, Sequence):
        scales = [float(scale) for scale in scale_factor]
    else:
        scales = [float(scale_factor)] * len(sizes)
    counts = [math.floor(n * scale) for n, scale in zip(sizes, scales, strict=True)]
    return counts, [*scales]


class Upsample(Module):
    """`interpolate` as a layer."""

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.size = tuple(size) if isinstance(size, Sequence) else size
        scales = scale_factor
        self.scale_factor = tuple(scales) if isinstance(scales, Sequence) else scales
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: jax.Array) -> jax.Array:
        """Resize all axes after the first two."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )


class UpsamplingNearest2d(Upsample):
    """Nearest neighbour over (N, C, H, W)."""

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Bilinear over (N, C, H, W), with aligned corners."""

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", True)
