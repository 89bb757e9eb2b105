"""Linear algebra that jax has in another form: cross products, determinants, matrix norms."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def cross(input: jax.Array, other: jax.Array, dim: int | None = None) -> jax.Array:
    """The cross product along `dim`, or else along the first axis of size 3."""
    shape = jnp.broadcast_shapes(input.shape, other.shape)
    return jnp.cross(input, other, axis=shape.index(3) if dim is None else dim)


def logdet(input: jax.Array) -> jax.Array:
    """The logarithm of the determinant; NaN where that is negative."""
    sign, value = jnp.linalg.slogdet(input)
    return jnp.where(sign < 0, jnp.nan, value)


def linalg_matrix_norm(
    A: jax.Array,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
) -> jax.Array:
    """The norm of matrices over two axes: Frobenius, nuclear, 1, 2 or infinity and their minima."""
    matrix = jnp.moveaxis(A, tuple(dim), (-2, -1))
    if ord in ("nuc", 2, -2):
        values = jnp.linalg.svd(matrix, compute_uv=False)
        total = values.sum(-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
    elif ord == "fro":
        total = jnp.sqrt(jnp.sum(jnp.abs(matrix) ** 2, axis=(-2, -1)))
    else:
        sums = jnp.abs(matrix).sum(-2 if abs(float(ord)) == 1 else -1)
        total = sums.max(-1) if math.copysign(1, float(ord)) > 0 else sums.min(-1)
    return jnp.expand_dims(total, tuple(dim)) if keepdim else total
