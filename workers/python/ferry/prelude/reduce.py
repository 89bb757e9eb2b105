"""Reductions, norms, distances and orderings with torch's defaults, ties and zeros."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ferry.prelude.base import ValuesIndices
from ferry.prelude.pointwise import absolute, clamp_min

Dims = int | Sequence[int] | None


def axes_of(dim: Dims) -> int | tuple[int, ...] | None:
    """jnp's form of torch's `dim`; no axes at all means every axis."""
    if dim is None or isinstance(dim, int):
        return dim
    return tuple(dim) or None


def select_along(input: jax.Array, indices: jax.Array, dim: int, keepdim: bool) -> ValuesIndices:
    """Pair of the elements at `indices` (which keep the axis `dim`) and the indices."""
    values = jnp.take_along_axis(input, indices, axis=dim)
    if keepdim:
        return ValuesIndices(values, indices)
    return ValuesIndices(jnp.squeeze(values, dim), jnp.squeeze(indices, dim))


def max_dim(input: jax.Array, dim: int, keepdim: bool = False) -> ValuesIndices:
    """Largest element along `dim` and its first index, which alone gets the gradient."""
    return select_along(input, jnp.argmax(input, dim, keepdims=True), dim, keepdim)


def min_dim(input: jax.Array, dim: int, keepdim: bool = False) -> ValuesIndices:
    """Smallest element along `dim` and its first index, which alone gets the gradient."""
    return select_along(input, jnp.argmin(input, dim, keepdims=True), dim, keepdim)


def kthvalue(input: jax.Array, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """The k-th smallest element along `dim`, counted from 1, and its index."""
    order = jnp.argsort(input, axis=dim)
    chosen = lax.slice_in_dim(order, k - 1, k, axis=dim)
    return select_along(input, chosen, dim, keepdim)


def median(
    input: jax.Array, dim: int | None = None, keepdim: bool = False
) -> jax.Array | ValuesIndices:
    """The lower median: of all elements, or along `dim` with its index.

    Over all elements equal ones share the gradient; along `dim` the chosen one gets it.
    """
    if dim is not None:
        return kthvalue(input, (input.shape[dim] + 1) // 2, dim, keepdim)
    flat = input.reshape(-1)
    middle = lax.stop_gradient(jnp.sort(flat)[(flat.size - 1) // 2])
    chosen = flat == middle
    return jnp.sum(jnp.where(chosen, flat, 0)) / jnp.sum(chosen).astype(flat.dtype)


def sort(
    input: jax.Array, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesIndices:
    """Sorted elements along `dim` and their indices; equal elements keep their order."""
    order = jnp.argsort(input, axis=dim, stable=True, descending=descending)
    return select_along(input, order, dim, True)


def argsort(
    input: jax.Array, dim: int = -1, descending: bool = False, stable: bool = False
) -> jax.Array:
    """Indices that sort along `dim`; equal elements keep their order."""
    return jnp.argsort(input, axis=dim, stable=True, descending=descending)


def topk(
    input: jax.Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesIndices:
    """The k largest (or smallest) elements along `dim`, in order, and their indices."""
    order = jnp.argsort(input, axis=dim, stable=True, descending=largest)
    return select_along(input, lax.slice_in_dim(order, 0, k, axis=dim), dim, True)


def cummax(input: jax.Array, dim: int) -> ValuesIndices:
    """Running maximum along `dim` and the latest index that reached it."""
    return select_along(input, latest_index(input, lax.cummax, dim), dim, True)


def cummin(input: jax.Array, dim: int) -> ValuesIndices:
    """Running minimum along `dim` and the latest index that reached it."""
    return select_along(input, latest_index(input, lax.cummin, dim), dim, True)


def latest_index(
    input: jax.Array, running: Callable[[jax.Array, int], jax.Array], dim: int
) -> jax.Array:
    """The last position up to each element where `input` equals its running extreme."""
    axis = dim % input.ndim
    reached = input == running(input, axis)
    positions = lax.broadcasted_iota(int, input.shape, axis)
    return lax.cummax(jnp.where(reached, positions, 0), axis)


def cumsum(input: jax.Array, dim: int, dtype: jnp.dtype | None = None) -> jax.Array:
    """Running sum along `dim`."""
    return jnp.cumsum(input, axis=dim, dtype=dtype)


def cumprod(input: jax.Array, dim: int, dtype: jnp.dtype | None = None) -> jax.Array:
    """Running product along `dim`."""
    return jnp.cumprod(input, axis=dim, dtype=dtype)


def logcumsumexp(input: jax.Array, dim: int) -> jax.Array:
    """Logarithm of the running sum of exponentials along `dim`."""
    return lax.cumlogsumexp(input, dim % input.ndim)


def logsumexp(input: jax.Array, dim: Dims, keepdim: bool = False) -> jax.Array:
    """Logarithm of the sum of exponentials over `dim`."""
    return jax.nn.logsumexp(input, axis=axes_of(dim), keepdims=keepdim)


def var(
    input: jax.Array,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> jax.Array:
    """Variance with divisor n - 1, or n - `correction`; a boolean `dim` is `unbiased`."""
    if isinstance(dim, bool):
        unbiased = dim
        dim = None
    ddof = int(unbiased) if correction is None else correction
    return jnp.var(input, axis=axes_of(dim), ddof=ddof, keepdims=keepdim)


def std(
    input: jax.Array,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> jax.Array:
    """Square root of `var`, with gradient 0 where it is 0."""
    return root_of(var(input, dim, unbiased, keepdim, correction=correction))


def var_mean(
    input: jax.Array,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Variance and mean."""
    variance = var(input, dim, unbiased, keepdim, correction=correction)
    axes = None if isinstance(dim, bool) else axes_of(dim)
    return variance, jnp.mean(input, axis=axes, keepdims=keepdim)


def std_mean(
    input: jax.Array,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Standard deviation and mean."""
    variance, mean = var_mean(input, dim, unbiased, keepdim, correction=correction)
    return root_of(variance), mean


def root_of(total: jax.Array, p: float = 2.0) -> jax.Array:
    """The p-th root, with value and gradient 0 at 0."""
    zero = total == 0
    positive = jnp.where(zero, 1, total)
    root = jnp.sqrt(positive) if p == 2 else positive ** (1.0 / p)
    return jnp.where(zero, 0, root)


def vector_norm(x: jax.Array, ord: float = 2, dim: Dims = None, keepdim: bool = False) -> jax.Array:
    """p-norm over `dim`; its gradient is 0 where the norm is 0 and at zero elements."""
    axes, size = axes_of(dim), absolute(x)
    if ord == 0:
        return jnp.sum(x != 0, axis=axes, keepdims=keepdim).astype(size.dtype)
    if ord == 1:
        return jnp.sum(size, axis=axes, keepdims=keepdim)
    if ord == np.inf:
        return jnp.max(size, axis=axes, keepdims=keepdim)
    if ord == -np.inf:
        return jnp.min(size, axis=axes, keepdims=keepdim)
    if ord == 2:
        return root_of(jnp.sum(size * size, axis=axes, keepdims=keepdim))
    powers = jnp.where(size == 0, 0 if ord > 0 else jnp.inf, jnp.where(size == 0, 1, size) ** ord)
    return root_of(jnp.sum(powers, axis=axes, keepdims=keepdim), ord)


def norm(
    input: jax.Array,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: jnp.dtype | None = None,
) -> jax.Array:
    """torch.norm: the p-norm of all elements, or over `dim`; "fro" is the 2-norm."""
    order = 2 if p in (None, "fro") else p
    if isinstance(order, str):
        raise ValueError(f"norm: the order {order!r} is not supported")
    return vector_norm(input.astype(dtype or input.dtype), order, dim, keepdim)


def linalg_norm(
    A: jax.Array, ord: float | str | None = None, dim: Dims = None, keepdim: bool = False
) -> jax.Array:
    """torch.linalg.norm for vectors, for all elements, and the Frobenius norm of matrices."""
    axes = axes_of(dim)
    spans_matrix = A.ndim == 2 if axes is None else isinstance(axes, tuple) and len(axes) == 2
    if ord not in (None, "fro") and spans_matrix:
        raise ValueError(f"linalg.norm: the matrix norm {ord!r} is not supported")
    return norm(A, ord, dim, keepdim)


def normalize(
    input: jax.Array, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12
) -> jax.Array:
    """Divide by the p-norm along `dim`, or by `eps` where that is larger."""
    return input / clamp_min(vector_norm(input, p, dim, True), eps)


def cosine_similarity(x1: jax.Array, x2: jax.Array, dim: int = 1, eps: float = 1e-8) -> jax.Array:
    """Inner product along `dim` over both norms, each at least `eps`."""
    x1, x2 = jnp.broadcast_arrays(x1, x2)
    first = x1 / clamp_min(vector_norm(x1, 2, dim, True), eps)
    second = x2 / clamp_min(vector_norm(x2, 2, dim, True), eps)
    return jnp.sum(first * second, axis=dim)


def pairwise_distance(
    x1: jax.Array, x2: jax.Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> jax.Array:
    """p-norm of `x1 - x2 + eps` over the last axis."""
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def cdist(x1: jax.Array, x2: jax.Array, p: float = 2.0) -> jax.Array:
    """p-norm distances of all rows of `x1` to all rows of `x2`; gradient 0 at distance 0."""
    return vector_norm(x1[..., :, None, :] - x2[..., None, :, :], p, -1)


class MinMax(NamedTuple):
    """The pair that `aminmax` returns."""

    min: jax.Array
    max: jax.Array


def aminmax(input: jax.Array, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The extremes of all elements, or along `dim`; ties share the gradient."""
    return MinMax(
        jnp.min(input, axis=dim, keepdims=keepdim), jnp.max(input, axis=dim, keepdims=keepdim)
    )


def pdist(input: jax.Array, p: float = 2.0) -> jax.Array:
    """Distances between each two rows, the first row's first."""
    rows, columns = np.triu_indices(input.shape[0], 1)
    return vector_norm(input[rows] - input[columns], p, -1)
