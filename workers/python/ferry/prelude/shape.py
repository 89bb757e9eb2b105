"""Reshaping, splitting and windows by torch's rules, and the layers that do it."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, ntuple


def flatten(input: jax.Array, start_dim: int = 0, end_dim: int = -1) -> jax.Array:
    """Join the axes from `start_dim` to `end_dim`."""
    if input.ndim == 0:
        return input.reshape(1)
    first, last = start_dim % input.ndim, end_dim % input.ndim
    return input.reshape(*input.shape[:first], -1, *input.shape[last + 1 :])


def unflatten(input: jax.Array, dim: int, sizes: Sequence[int]) -> jax.Array:
    """Split the axis `dim` into `sizes`, one of which may be -1."""
    axis = dim % input.ndim
    known = -int(np.prod(sizes)) if -1 in sizes else 0
    whole = [input.shape[axis] // known if size == -1 else size for size in sizes]
    return input.reshape(*input.shape[:axis], *whole, *input.shape[axis + 1 :])


def squeeze(input: jax.Array, dim: int | Sequence[int] | None = None) -> jax.Array:
    """Drop axes of size 1: all, or those of `dim` that have it."""
    if dim is None:
        return jnp.squeeze(input)
    named = (dim,) if isinstance(dim, int) else dim
    return jnp.squeeze(input, tuple(axis for axis in named if input.shape[axis] == 1))


def expand(input: jax.Array, *sizes: int | Sequence[int]) -> jax.Array:
    """Broadcast to `sizes`; -1 keeps an axis."""
    wanted = sizes if not sizes or isinstance(sizes[0], int) else tuple(sizes[0])
    own = (1,) * (len(wanted) - input.ndim) + input.shape
    shape = [have if want == -1 else want for have, want in zip(own, wanted, strict=True)]
    return jnp.broadcast_to(input, shape)


def narrow(input: jax.Array, dim: int, start: int, length: int) -> jax.Array:
    """`length` elements of the axis `dim` from `start`."""
    first = start % input.shape[dim] if start < 0 else start
    return lax.slice_in_dim(jnp.asarray(input), first, first + length, axis=dim)


def split(
    tensor: jax.Array, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[jax.Array, ...]:
    """Pieces of one size (the last may be shorter), or of the given sizes."""
    sections = split_size_or_sections
    if isinstance(sections, int):
        edges = list(range(sections, tensor.shape[dim], sections))
    else:
        edges = [int(edge) for edge in np.cumsum(sections)[:-1]]
    return tuple(jnp.split(tensor, edges, axis=dim))


def chunk(input: jax.Array, chunks: int, dim: int = 0) -> tuple[jax.Array, ...]:
    """At most `chunks` pieces of equal size, rounded up; the last may be shorter."""
    return split(input, max(-(-input.shape[dim] // chunks), 1), dim)


def tensor_split(
    input: jax.Array, indices_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[jax.Array, ...]:
    """Pieces whose sizes differ by at most one, or cut at the given indices."""
    return tuple(jnp.array_split(input, indices_or_sections, axis=dim))


def unbind(input: jax.Array, dim: int = 0) -> tuple[jax.Array, ...]:
    """The slices along `dim`, without that axis."""
    return tuple(jnp.moveaxis(input, dim, 0))


def repeat_interleave(input: jax.Array, repeats: int, dim: int | None = None) -> jax.Array:
    """Repeat each element (of the flattened input if `dim` is None)."""
    return jnp.repeat(input, repeats, axis=dim)


def meshgrid(
    *tensors: jax.Array | Sequence[jax.Array], indexing: str = "ij"
) -> tuple[jax.Array, ...]:
    """Coordinate grids; the first input runs along the first axis unless indexing is "xy"."""
    grids = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    return tuple(jnp.meshgrid(*grids, indexing=indexing))


def diag_embed(input: jax.Array, offset: int = 0, dim1: int = -2, dim2: int = -1) -> jax.Array:
    """Matrices with the last axis of the input on a diagonal."""
    size = input.shape[-1] + abs(offset)
    rows = np.arange(input.shape[-1]) + max(-offset, 0)
    matrix = jnp.zeros((*input.shape[:-1], size, size), input.dtype)
    matrix = matrix.at[..., rows, rows + offset].set(input)
    return jnp.moveaxis(matrix, (-2, -1), (dim1, dim2))


def sliding_windows(input: jax.Array, dimension: int, size: int, step: int) -> jax.Array:
    """`Tensor.unfold`: windows of `size` every `step` along an axis, on a new last axis."""
    axis = dimension % input.ndim
    starts = np.arange(0, input.shape[axis] - size + 1, step)
    windows = jnp.take(input, starts[:, None] + np.arange(size), axis=axis)
    return jnp.moveaxis(windows, axis + 1, -1)


def unfold(
    input: jax.Array,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Patches of (N, C, H, W) as columns: (N, C * kh * kw, patches); zeros outside."""
    batch = input if input.ndim == 4 else input[None]
    margins = [(p, p) for p in ntuple(padding, 2)]
    padded = jnp.pad(batch, [(0, 0), (0, 0), *margins])
    rows, columns = (
        np.arange(k)[:, None] * d + np.arange(0, size - d * (k - 1), s)
        for size, k, d, s in zip(
            padded.shape[2:],
            ntuple(kernel_size, 2),
            ntuple(dilation, 2),
            ntuple(stride, 2),
            strict=True,
        )
    )
    patches = padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    rows_of_patches = batch.shape[1] * rows.shape[0] * columns.shape[0]
    output = patches.reshape(batch.shape[0], rows_of_patches, -1)
    return output if input.ndim == 4 else output[0]


def fold(
    input: jax.Array,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Sum columns of patches back into an image: the transpose of `unfold`."""
    channels = input.shape[-2] // int(np.prod(ntuple(kernel_size, 2)))
    shape = (*input.shape[:-2], channels, *ntuple(output_size, 2))

    def columns(image: jax.Array) -> jax.Array:
        return unfold(image, kernel_size, dilation, padding, stride)

    image: jax.Array = jax.linear_transpose(columns, jnp.zeros(shape, input.dtype))(input)[0]
    return image


def pixel_shuffle(input: jax.Array, upscale_factor: int) -> jax.Array:
    """(..., C * r * r, H, W) to (..., C, H * r, W * r)."""
    r = upscale_factor
    *lead, channels, height, width = input.shape
    blocks = input.reshape(*lead, channels // (r * r), r, r, height, width)
    spread = jnp.moveaxis(blocks, (-4, -3), (-3, -1))
    return spread.reshape(*lead, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: jax.Array, downscale_factor: int) -> jax.Array:
    """(..., C, H * r, W * r) to (..., C * r * r, H, W)."""
    r = downscale_factor
    *lead, channels, height, width = input.shape
    blocks = input.reshape(*lead, channels, height // r, r, width // r, r)
    gathered = jnp.moveaxis(blocks, (-3, -1), (-4, -3))
    return gathered.reshape(*lead, channels * r * r, height // r, width // r)


def channel_shuffle(input: jax.Array, groups: int) -> jax.Array:
    """Interleave the channels of `groups` groups."""
    split_channels = input.reshape(input.shape[0], groups, -1, *input.shape[2:])
    return jnp.swapaxes(split_channels, 1, 2).reshape(input.shape)


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim`; the batch axis stays by default."""

    def __init__(
        self, start_dim: int = 1, end_dim: int = -1, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: jax.Array) -> jax.Array:
        """Join the axes."""
        return flatten(input, self.start_dim, self.end_dim)


class Unflatten(Module):
    """Splits one axis into several."""

    def __init__(
        self, dim: int, unflattened_size: Sequence[int], *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: jax.Array) -> jax.Array:
        """Split the axis."""
        return unflatten(input, self.dim, self.unflattened_size)


class Unfold(Module):
    """Patches as columns."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.kernel_size = ntuple(kernel_size, 2)
        self.dilation = ntuple(dilation, 2)
        self.padding = ntuple(padding, 2)
        self.stride = ntuple(stride, 2)

    def forward(self, input: jax.Array) -> jax.Array:
        """Cut (N, C, H, W) into patches."""
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Sums columns of patches back into an image."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        stride: int | Sequence[int] = 1,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.output_size = ntuple(output_size, 2)
        self.kernel_size = ntuple(kernel_size, 2)
        self.dilation = ntuple(dilation, 2)
        self.padding = ntuple(padding, 2)
        self.stride = ntuple(stride, 2)

    def forward(self, input: jax.Array) -> jax.Array:
        """Join (N, C * kh * kw, patches)."""
        return fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )


class PixelShuffle(Module):
    """Channels into space."""

    def __init__(self, upscale_factor: int, *, rngs: nnx.Rngs | None = None) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, input: jax.Array) -> jax.Array:
        """(..., C * r * r, H, W) to (..., C, H * r, W * r)."""
        return pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Module):
    """Space into channels."""

    def __init__(self, downscale_factor: int, *, rngs: nnx.Rngs | None = None) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, input: jax.Array) -> jax.Array:
        """(..., C, H * r, W * r) to (..., C * r * r, H, W)."""
        return pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Module):
    """Interleaves the channels of groups."""

    def __init__(self, groups: int, *, rngs: nnx.Rngs | None = None) -> None:
        self.groups = groups

    def forward(self, input: jax.Array) -> jax.Array:
        """Reorder axis 1."""
        return channel_shuffle(input, self.groups)


def cartesian_prod(*tensors: jax.Array) -> jax.Array:
    """All tuples of one element of each vector, as rows; one vector stays as it is."""
    if len(tensors) == 1:
        return tensors[0]
    grids = jnp.meshgrid(*tensors, indexing="ij")
    return jnp.stack([grid.reshape(-1) for grid in grids], axis=-1)


def combinations(input: jax.Array, r: int = 2, with_replacement: bool = False) -> jax.Array:
    """All choices of `r` elements of a vector, as rows in the order of their places."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = list(choose(range(input.shape[0]), r))
    return input[jnp.array(places, dtype=int).reshape(-1, r)]
