"""Max pools that also say where their elements were, and max unpools, which put them back.

An index counts the elements of the pooled axes of its input in row-major order, as torch's do.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.prelude.base import Module, ntuple
from ferry.prelude.gradient import with_data
from ferry.prelude.pool import adaptive_bins, adaptive_sizes, window_starts


def largest_of_bins(input: jax.Array, axis: int, index: np.ndarray) -> jax.Array:
    """The position along `axis` of the first largest of the elements `index[i]`, for each i.

    Indices outside of the axis are skipped; each row of `index` has one inside.
    """
    inside = (index >= 0) & (index < input.shape[axis])
    rows = np.arange(len(index))
    filled = np.where(inside, index, index[rows, inside.argmax(1)][:, None])
    winner = jnp.argmax(jnp.moveaxis(input, axis, -1)[..., filled], -1)
    return jnp.moveaxis(jnp.asarray(filled)[rows, winner], -1, axis)


def max_of_axes(input: jax.Array, bins: Sequence[np.ndarray]) -> tuple[jax.Array, jax.Array]:
    """The largest elements of bins over the last axes, and their indices.

    `bins` has for each of these axes the positions in each bin.
    """
    rank = len(bins)
    sizes = input.shape[-rank:]
    indices = jnp.broadcast_to(jnp.arange(math.prod(sizes)).reshape(sizes), input.shape)
    for axis in range(-1, -rank - 1, -1):
        chosen = largest_of_bins(input, axis, bins[axis])
        input = jnp.take_along_axis(input, chosen, axis)
        indices = jnp.take_along_axis(indices, chosen, axis)
    return input, indices


def max_pool_with_indices(
    input: jax.Array,
    rank: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Largest element of each window over the last `rank` axes, and its index."""
    kernel = ntuple(kernel_size, rank)
    steps = kernel if not stride else ntuple(stride, rank)
    bins = [
        window_starts(size, width, step, pad, gap, ceil_mode)[:, None] + np.arange(width) * gap
        for size, width, step, pad, gap in zip(
            input.shape[-rank:],
            kernel,
            steps,
            ntuple(padding, rank),
            ntuple(dilation, rank),
            strict=True,
        )
    ]
    return max_of_axes(input, bins)


def max_pool1d_with_indices(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Max pool over (N, C, L), batch optional, and indices."""
    return max_pool_with_indices(input, 1, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Max pool over (N, C, H, W), batch optional, and indices."""
    return max_pool_with_indices(input, 2, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Max pool over (N, C, D, H, W), batch optional, and indices."""
    return max_pool_with_indices(input, 3, kernel_size, stride, padding, dilation, ceil_mode)


def adaptive_max_pool_with_indices(
    input: jax.Array, rank: int, output_size: int | Sequence[int | None] | None
) -> tuple[jax.Array, jax.Array]:
    """Largest element of adaptive bins over the last `rank` axes, and its index."""
    counts = adaptive_sizes(input, rank, output_size)
    sizes = zip(input.shape[-rank:], counts, strict=True)
    return max_of_axes(input, [adaptive_bins(size, count) for size, count in sizes])


def adaptive_max_pool1d_with_indices(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> tuple[jax.Array, jax.Array]:
    """Adaptive max pool over (N, C, L), batch optional, and indices."""
    return adaptive_max_pool_with_indices(input, 1, output_size)


def adaptive_max_pool2d_with_indices(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> tuple[jax.Array, jax.Array]:
    """Adaptive max pool over (N, C, H, W), batch optional, and indices."""
    return adaptive_max_pool_with_indices(input, 2, output_size)


def adaptive_max_pool3d_with_indices(
    input: jax.Array, output_size: int | Sequence[int | None] | None
) -> tuple[jax.Array, jax.Array]:
    """Adaptive max pool over (N, C, D, H, W), batch optional, and indices."""
    return adaptive_max_pool_with_indices(input, 3, output_size)


class MaxPoolWithIndicesNd(Module):
    """What max pools with indices share; `rank` is the number of pooled axes."""

    rank: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        *,
        ceil_mode: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else ntuple(stride, self.rank)
        self.padding = ntuple(padding, self.rank)
        self.dilation = ntuple(dilation, self.rank)
        self.ceil_mode = ceil_mode

    def forward(self, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The pooled elements and their indices."""
        return max_pool_with_indices(
            input,
            self.rank,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )


class MaxPool1dWithIndices(MaxPoolWithIndicesNd):
    """Max pool over (N, C, L), and indices."""

    rank = 1


class MaxPool2dWithIndices(MaxPoolWithIndicesNd):
    """Max pool over (N, C, H, W), and indices."""

    rank = 2


class MaxPool3dWithIndices(MaxPoolWithIndicesNd):
    """Max pool over (N, C, D, H, W), and indices."""

    rank = 3


class AdaptiveMaxPoolWithIndicesNd(Module):
    """What adaptive max pools with indices share; a size of None keeps the input's."""

    rank: int

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.output_size = tuple(output_size) if isinstance(output_size, Sequence) else output_size

    def forward(self, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The largest element of each bin, and its index."""
        return adaptive_max_pool_with_indices(input, self.rank, self.output_size)


class AdaptiveMaxPool1dWithIndices(AdaptiveMaxPoolWithIndicesNd):
    """Adaptive max pool over (N, C, L), and indices."""

    rank = 1


class AdaptiveMaxPool2dWithIndices(AdaptiveMaxPoolWithIndicesNd):
    """Adaptive max pool over (N, C, H, W), and indices."""

    rank = 2


class AdaptiveMaxPool3dWithIndices(AdaptiveMaxPoolWithIndicesNd):
    """Adaptive max pool over (N, C, D, H, W), and indices."""

    rank = 3


def max_unpool(
    input: jax.Array,
    indices: jax.Array,
    rank: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Zeros with the elements of `input` at their `indices` among the last `rank` axes.

    Of elements with one index any is taken, and each receives the gradient there. Sizes are those that
    a pool would have pooled to the input's, unless `output_size` gives the last ones or all.
    """
    kernel = ntuple(kernel_size, rank)
    steps = kernel if not stride else ntuple(stride, rank)
    axes = zip(input.shape[-rank:], kernel, steps, ntuple(padding, rank), strict=True)
    sizes = tuple((size - 1) * step - 2 * pad + width for size, width, step, pad in axes)
    if output_size is not None:
        sizes = tuple(output_size)[-rank:]
    lead = input.shape[:-rank]
    rows = np.arange(math.prod(lead))[:, None]
    values, places = input.reshape(rows.size, -1), indices.reshape(rows.size, -1)
    empty = jnp.zeros((rows.size, math.prod(sizes)), input.dtype)
    spread = with_data(empty.at[rows, places].add(values), empty.at[rows, places].set(values))
    return spread.reshape(*lead, *sizes)


def max_unpool1d(
    input: jax.Array,
    indices: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """The partial inverse of `max_pool1d`."""
    return max_unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: jax.Array,
    indices: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """The partial inverse of `max_pool2d`."""
    return max_unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: jax.Array,
    indices: jax.Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """The partial inverse of `max_pool3d`."""
    return max_unpool(input, indices, 3, kernel_size, stride, padding, output_size)


class MaxUnpoolNd(Module):
    """What the max unpools share; `rank` is the number of pooled axes."""

    rank: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else ntuple(stride, self.rank)
        self.padding = ntuple(padding, self.rank)

    def forward(
        self, input: jax.Array, indices: jax.Array, output_size: Sequence[int] | None = None
    ) -> jax.Array:
        """The elements at their indices, zeros elsewhere."""
        return max_unpool(
            input, indices, self.rank, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool1d(MaxUnpoolNd):
    """The partial inverse of MaxPool1d."""

    rank = 1


class MaxUnpool2d(MaxUnpoolNd):
    """The partial inverse of MaxPool2d."""

    rank = 2


class MaxUnpool3d(MaxUnpoolNd):
    """The partial inverse of MaxPool3d."""

    rank = 3
