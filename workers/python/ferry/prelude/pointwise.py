"""Element-wise rules and products that jnp spells or differentiates in another way."""

import jax
import jax.numpy as jnp
from jax import lax


def absolute(input: jax.Array) -> jax.Array:
    """|x| with gradient 0 at 0."""
    if jnp.iscomplexobj(input):
        return jnp.abs(input)
    return input * lax.stop_gradient(jnp.sign(input))


def clamp_min(input: jax.Array, min: float | jax.Array) -> jax.Array:
    """At least `min`; the gradient at the bound is 1."""
    return jnp.where(jnp.less(input, min), min, input)


def clamp_max(input: jax.Array, max: float | jax.Array) -> jax.Array:
    """At most `max`; the gradient at the bound is 1."""
    return jnp.where(jnp.greater(input, max), max, input)


def clamp(
    input: jax.Array,
    min: float | jax.Array | None = None,
    max: float | jax.Array | None = None,
) -> jax.Array:
    """Between `min` and `max` (which wins over `min`); the gradient at a bound is 1."""
    if min is not None:
        input = clamp_min(input, min)
    return input if max is None else clamp_max(input, max)


def lerp(input: jax.Array, end: jax.Array, weight: float | jax.Array) -> jax.Array:
    """`input + weight * (end - input)`."""
    return input + weight * (end - input)


def addcmul(
    input: jax.Array, tensor1: jax.Array, tensor2: jax.Array, *, value: float = 1
) -> jax.Array:
    """`input + value * tensor1 * tensor2`."""
    return input + value * tensor1 * tensor2


def addcdiv(
    input: jax.Array, tensor1: jax.Array, tensor2: jax.Array, *, value: float = 1
) -> jax.Array:
    """`input + value * tensor1 / tensor2`."""
    return input + value * tensor1 / tensor2


def scaled_sum(input: jax.Array, product: jax.Array, beta: float, alpha: float) -> jax.Array:
    """`beta * input + alpha * product`; with beta 0 the input is ignored, NaN too."""
    return alpha * product if beta == 0 else beta * input + alpha * product


def addmm(
    input: jax.Array, mat1: jax.Array, mat2: jax.Array, *, beta: float = 1, alpha: float = 1
) -> jax.Array:
    """`beta * input + alpha * mat1 @ mat2`."""
    return scaled_sum(input, jnp.matmul(mat1, mat2), beta, alpha)


def addmv(
    input: jax.Array, mat: jax.Array, vec: jax.Array, *, beta: float = 1, alpha: float = 1
) -> jax.Array:
    """`beta * input + alpha * mat @ vec`."""
    return scaled_sum(input, jnp.matmul(mat, vec), beta, alpha)


def addr(
    input: jax.Array, vec1: jax.Array, vec2: jax.Array, *, beta: float = 1, alpha: float = 1
) -> jax.Array:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    return scaled_sum(input, jnp.outer(vec1, vec2), beta, alpha)


def baddbmm(
    input: jax.Array, batch1: jax.Array, batch2: jax.Array, *, beta: float = 1, alpha: float = 1
) -> jax.Array:
    """`beta * input + alpha * batch1 @ batch2` for each matrix of the batch."""
    return scaled_sum(input, jnp.matmul(batch1, batch2), beta, alpha)


def addbmm(
    input: jax.Array, batch1: jax.Array, batch2: jax.Array, *, beta: float = 1, alpha: float = 1
) -> jax.Array:
    """`beta * input + alpha *` the sum over the batch of `batch1 @ batch2`."""
    return scaled_sum(input, jnp.einsum("bij,bjk->ik", batch1, batch2), beta, alpha)


def divide_truncated(input: jax.Array, other: float | jax.Array) -> jax.Array:
    """The quotient without its fraction, in the type of the operands."""
    quotient = jnp.trunc(input / other)
    return quotient.astype(jnp.result_type(input, other))
