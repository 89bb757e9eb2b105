"""Sampling an image at free positions: affine_grid and grid_sample."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def grid_line(size: int, align_corners: bool) -> np.ndarray:
    """Positions of `size` pixels on an axis that runs from -1 to 1."""
    if size <= 1:
        return np.zeros(size)
    line = np.linspace(-1.0, 1.0, size)
    return line if align_corners else line * (size - 1) / size


def affine_grid(
    theta: jax.Array, size: Sequence[int], align_corners: bool | None = None
) -> jax.Array:
    """Positions (N, ..., d) of the pixels of `size` (N, C, ...) under `theta` (N, d, d + 1)."""
    lines = [grid_line(n, bool(align_corners)) for n in size[2:]]
    axes = np.meshgrid(*lines, indexing="ij")[::-1]  # x, the last axis, comes first
    base = jnp.asarray(np.stack([*axes, np.ones(tuple(size[2:]))], axis=-1), theta.dtype)
    return jnp.einsum("...j,nij->n...i", base, theta)


def unnormalize(position: jax.Array, size: int, align_corners: bool) -> jax.Array:
    """From -1 … 1 to pixel numbers."""
    if align_corners:
        return (position + 1) / 2 * (size - 1)
    return ((position + 1) * size - 1) / 2


def reflect_position(position: jax.Array, low: float, high: float) -> jax.Array:
    """Mirror positions at `low` and `high` until they are between them."""
    span = high - low
    if span <= 0:
        return jnp.zeros_like(position)
    distance = jnp.abs(position - low)
    flips = jnp.floor(distance / span)
    rest = distance - flips * span
    return jnp.where(flips % 2 == 0, rest + low, span - rest + low)


def clip_inside(position: jax.Array, size: int) -> jax.Array:
    """Positions cut to the image; at and beyond its edges no gradient passes."""
    inside = (position > 0) & (position < size - 1)
    return jnp.where(inside, position, jnp.where(position >= size - 1, size - 1.0, 0.0))


def pad_position(
    position: jax.Array, size: int, padding_mode: str, align_corners: bool
) -> jax.Array:
    """Where a position outside the image is read instead."""
    if padding_mode == "zeros":
        return position
    if padding_mode == "reflection":
        low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
        position = reflect_position(position, low, high)
    return clip_inside(position, size)


def pick_pixels(image: jax.Array, index: Sequence[jax.Array]) -> jax.Array:
    """Pixels (N, C, ...) of `image` at whole positions, one index per axis; zero outside."""
    sizes = image.shape[2:]
    inside = jnp.ones(index[0].shape, bool)
    safe = []
    for i, size in zip(index, sizes, strict=True):
        inside &= (i >= 0) & (i < size)
        safe.append(jnp.clip(i, 0, size - 1).astype(int))
    picked = jax.vmap(lambda one, at: one[(slice(None), *at)])(image, tuple(safe))
    return jnp.where(inside[:, None], picked, 0)


def sample_linear(image: jax.Array, positions: Sequence[jax.Array]) -> jax.Array:
    """The mean of the nearest pixels, weighted by their distance along each axis."""
    low = [jnp.floor(p) for p in positions]
    corners = list(itertools.product((0, 1), repeat=len(positions)))
    total = jnp.zeros((*image.shape[:2], *positions[0].shape[1:]), image.dtype)
    for corner in corners:
        weight = jnp.ones((), image.dtype)
        for position, floor, upper in zip(positions, low, corner, strict=True):
            weight = weight * (position - floor if upper else floor + 1 - position)
        index = [floor + upper for floor, upper in zip(low, corner, strict=True)]
        total = total + pick_pixels(image, index) * weight[:, None]
    return total


def cubic_weights(t: jax.Array) -> list[jax.Array]:
    """Weights of the four pixels around a position `t` beyond the second (a = -0.75)."""
    a = -0.75

    def near(x: jax.Array) -> jax.Array:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: jax.Array) -> jax.Array:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def sample_cubic(
    image: jax.Array, positions: Sequence[jax.Array], padding_mode: str, align_corners: bool
) -> jax.Array:
    """Bicubic: each of the 16 pixels around a position is padded by itself."""
    low = [jnp.floor(p) for p in positions]
    weights = [cubic_weights(p - f) for p, f in zip(positions, low, strict=True)]
    total = jnp.zeros((*image.shape[:2], *positions[0].shape[1:]), image.dtype)
    for row, column in itertools.product(range(4), repeat=2):
        index = [
            pad_position(floor + step - 1, size, padding_mode, align_corners)
            for floor, step, size in zip(low, (row, column), image.shape[2:], strict=True)
        ]
        weight = weights[0][row] * weights[1][column]
        total = total + pick_pixels(image, index) * weight[:, None]
    return total


def grid_sample(
    input: jax.Array,
    grid: jax.Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> jax.Array:
    """Read (N, C, ...) at the positions `grid` (N, ..., d), whose last axis is x, y (, z)."""
    aligned = bool(align_corners)
    sizes = input.shape[2:]
    raw = [unnormalize(grid[..., -1 - axis], size, aligned) for axis, size in enumerate(sizes)]
    if mode == "bicubic":
        return sample_cubic(input, raw, padding_mode, aligned)
    positions = [
        pad_position(p, size, padding_mode, aligned) for p, size in zip(raw, sizes, strict=True)
    ]
    if mode == "nearest":
        return pick_pixels(input, [jnp.round(p) for p in positions])
    return sample_linear(input, positions)
