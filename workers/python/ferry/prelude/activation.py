"""Activations as functions; values and gradients at the kinks are torch's."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ferry.prelude.base import channel_shape


def implicit_dim(dim: int | None, ndim: int) -> int:
    """The axis that softmax takes where none is named: 0 for 0, 1 or 3 axes, else 1."""
    if dim is not None:
        return dim
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: jax.Array, dim: int | None = None, dtype: jnp.dtype | None = None) -> jax.Array:
    """Softmax along `dim`; a row of -inf gives NaN."""
    return jax.nn.softmax(input.astype(dtype), implicit_dim(dim, input.ndim))


def log_softmax(
    input: jax.Array, dim: int | None = None, dtype: jnp.dtype | None = None
) -> jax.Array:
    """Logarithm of softmax along `dim`."""
    return jax.nn.log_softmax(input.astype(dtype), implicit_dim(dim, input.ndim))


def softmin(input: jax.Array, dim: int | None = None, dtype: jnp.dtype | None = None) -> jax.Array:
    """Softmax of the negated input."""
    return softmax(-input, dim, dtype)


def gelu(input: jax.Array, approximate: str = "none") -> jax.Array:
    """`x * Phi(x)`, exact unless `approximate` is "tanh"."""
    return jax.nn.gelu(input, approximate=approximate == "tanh")


def hardtanh(
    input: jax.Array, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> jax.Array:
    """Clamp with gradient 0 at both bounds."""
    inside = (input > min_val) & (input < max_val)
    return jnp.where(inside, input, lax.stop_gradient(jnp.clip(input, min_val, max_val)))


def relu6(input: jax.Array, inplace: bool = False) -> jax.Array:
    """Clamp to [0, 6] with gradient 0 at both bounds."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: jax.Array, inplace: bool = False) -> jax.Array:
    """`relu6(x + 3) / 6`; the slope is torch's single-precision 1/6, and 0 at both ends."""
    inside = (input > -3) & (input < 3)
    value = lax.stop_gradient(jnp.clip(input + 3, 0, 6) / 6)
    zero_with_gradient = jnp.where(inside, input - lax.stop_gradient(input), 0)
    return value + zero_with_gradient * float(np.float32(1 / 6))


def hardswish(input: jax.Array, inplace: bool = False) -> jax.Array:
    """`x * relu6(x + 3) / 6`; the gradient is 0 at -3 and 1 at 3."""
    curve = input * (input + 3) / 6
    return jnp.where(input <= -3, input * 0, jnp.where(input < 3, curve, input))


def leaky_relu(input: jax.Array, negative_slope: float = 0.01, inplace: bool = False) -> jax.Array:
    """`x` where positive, else `negative_slope * x`."""
    return jnp.where(input > 0, input, input * negative_slope)


def prelu(input: jax.Array, weight: jax.Array) -> jax.Array:
    """Leaky ReLU with a learned slope: one, or one for each channel (axis 1)."""
    slope = channel_shape(weight, input.ndim) if weight.size > 1 else weight.reshape(())
    return jnp.where(input > 0, input, input * slope)


def elu(input: jax.Array, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """`x` where positive, else `alpha * (exp(x) - 1)`."""
    return jax.nn.elu(input, alpha)


def celu(input: jax.Array, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """`x` where positive, else `alpha * (exp(x / alpha) - 1)`."""
    return alpha * jax.nn.elu(input / alpha)


def threshold(input: jax.Array, threshold: float, value: float, inplace: bool = False) -> jax.Array:
    """`x` where above `threshold`, else `value`."""
    return jnp.where(input > threshold, input, value)


def softplus(input: jax.Array, beta: float = 1.0, threshold: float = 20.0) -> jax.Array:
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x` passes `threshold`."""
    scaled = input * beta
    linear_part = scaled > threshold
    curve = jnp.log1p(jnp.exp(jnp.where(linear_part, 0, scaled))) / beta
    return jnp.where(linear_part, input, curve)


def mish(input: jax.Array, inplace: bool = False) -> jax.Array:
    """`x * tanh(softplus(x))`."""
    return input * jnp.tanh(jax.nn.softplus(input))


def tanhshrink(input: jax.Array) -> jax.Array:
    """`x - tanh(x)`."""
    return input - jnp.tanh(input)


def softshrink(input: jax.Array, lambd: float = 0.5) -> jax.Array:
    """Move towards zero by `lambd`; zero within it."""
    moved = jnp.where(input > lambd, input - lambd, input + lambd)
    return jnp.where(jnp.abs(input) <= lambd, input * 0, moved)


def hardshrink(input: jax.Array, lambd: float = 0.5) -> jax.Array:
    """Zero within `lambd` of zero, else `x`."""
    return jnp.where(jnp.abs(input) <= lambd, input * 0, input)


def glu(input: jax.Array, dim: int = -1) -> jax.Array:
    """First half along `dim` times the sigmoid of the second half."""
    first, second = jnp.split(input, 2, axis=dim)
    return first * jax.nn.sigmoid(second)


def gumbel_softmax(
    logits: jax.Array,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Softmax of logits with Gumbel noise; `hard` gives one-hot values with the soft gradient."""
    if rngs is None:
        raise ValueError("gumbel_softmax needs rngs")
    noise = -jnp.log(jax.random.exponential(rngs.noise(), logits.shape, logits.dtype))
    soft = jax.nn.softmax((logits + noise) / tau, axis=dim)
    if not hard:
        return soft
    top = jax.nn.one_hot(jnp.argmax(soft, dim), logits.shape[dim], axis=dim, dtype=soft.dtype)
    return top - lax.stop_gradient(soft) + soft


def rrelu(
    input: jax.Array,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Negative values times the mean slope, or in training a slope drawn for each."""
    slope: float | jax.Array = (lower + upper) / 2
    if training:
        if rngs is None:
            raise ValueError("rrelu in train mode needs rngs")
        slope = jax.random.uniform(rngs.noise(), input.shape, input.dtype, lower, upper)
    return jnp.where(input >= 0, input, input * slope)
