"""Activations as functions and as modules; values and gradients at the kinks are torch's."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, channel_shape


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


@jax.custom_jvp
def hardsigmoid(input: jax.Array) -> jax.Array:
    """`relu6(x + 3) / 6`; the slope is torch's float32 constant 1/6, 0 at both ends."""
    return jnp.clip(input + 3, 0, 6) / 6


@hardsigmoid.defjvp
def hardsigmoid_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The derivative that torch uses."""
    (input,), (tangent,) = primals, tangents
    slope = jnp.where((input > -3) & (input < 3), float(np.float32(1 / 6)), 0)
    return hardsigmoid(input), tangent * slope.astype(input.dtype)


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


class Activation(Module):
    """A layer without state that applies `function`; `inplace` is accepted and ignored."""

    function: Callable[[jax.Array], jax.Array]

    def __init__(self, inplace: bool = False, *, rngs: nnx.Rngs | None = None) -> None:
        pass

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply the function to every element."""
        return type(self).function(input)


class ReLU(Activation):
    """`max(x, 0)` with gradient 0 at 0."""

    function = staticmethod(jax.nn.relu)


class ReLU6(Activation):
    """Clamp to [0, 6]."""

    function = staticmethod(relu6)


class SiLU(Activation):
    """`x * sigmoid(x)`."""

    function = staticmethod(jax.nn.silu)


class Mish(Activation):
    """`x * tanh(softplus(x))`."""

    function = staticmethod(mish)


class SELU(Activation):
    """Self-normalising ELU."""

    function = staticmethod(jax.nn.selu)


class Sigmoid(Activation):
    """`1 / (1 + exp(-x))`."""

    function = staticmethod(jax.nn.sigmoid)


class LogSigmoid(Activation):
    """Logarithm of the sigmoid."""

    function = staticmethod(jax.nn.log_sigmoid)


class Tanh(Activation):
    """Hyperbolic tangent."""

    function = staticmethod(jnp.tanh)


class Tanhshrink(Activation):
    """`x - tanh(x)`."""

    function = staticmethod(tanhshrink)


class Softsign(Activation):
    """`x / (1 + |x|)`."""

    function = staticmethod(jax.nn.soft_sign)


class Hardsigmoid(Activation):
    """`relu6(x + 3) / 6`."""

    function = staticmethod(hardsigmoid)


class Hardswish(Activation):
    """`x * relu6(x + 3) / 6`."""

    function = staticmethod(hardswish)


class GELU(Module):
    """`x * Phi(x)`, exact unless `approximate` is "tanh"."""

    def __init__(self, approximate: str = "none", *, rngs: nnx.Rngs | None = None) -> None:
        self.approximate = approximate

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return gelu(input, self.approximate)


class LeakyReLU(Module):
    """`x` where positive, else `negative_slope * x`."""

    def __init__(
        self,
        negative_slope: float = 0.01,
        inplace: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return leaky_relu(input, self.negative_slope)


class PReLU(Module):
    """Leaky ReLU whose slope is learned, one for all or one for each channel."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.num_parameters = num_parameters
        self.weight = nnx.Param(jnp.full((num_parameters,), init))

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply with channels on axis 1."""
        return prelu(input, self.weight[...])


class ELU(Module):
    """`x` where positive, else `alpha * (exp(x) - 1)`."""

    def __init__(
        self, alpha: float = 1.0, inplace: bool = False, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.alpha = alpha

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return elu(input, self.alpha)


class CELU(Module):
    """`x` where positive, else `alpha * (exp(x / alpha) - 1)`."""

    def __init__(
        self, alpha: float = 1.0, inplace: bool = False, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.alpha = alpha

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return celu(input, self.alpha)


class Hardtanh(Module):
    """Clamp to [min_val, max_val]."""

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return hardtanh(input, self.min_val, self.max_val)


class Threshold(Module):
    """`x` where above the threshold, else `value`."""

    def __init__(
        self,
        threshold: float,
        value: float,
        inplace: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.threshold = threshold
        self.value = value

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return threshold(input, self.threshold, self.value)


class Softplus(Module):
    """`log(1 + exp(beta * x)) / beta`, linear above `threshold`."""

    def __init__(
        self, beta: float = 1.0, threshold: float = 20.0, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return softplus(input, self.beta, self.threshold)


class Softshrink(Module):
    """Moves towards zero by `lambd`."""

    def __init__(self, lambd: float = 0.5, *, rngs: nnx.Rngs | None = None) -> None:
        self.lambd = lambd

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return softshrink(input, self.lambd)


class Hardshrink(Module):
    """Zero within `lambd` of zero."""

    def __init__(self, lambd: float = 0.5, *, rngs: nnx.Rngs | None = None) -> None:
        self.lambd = lambd

    def forward(self, input: jax.Array) -> jax.Array:
        """Apply to every element."""
        return hardshrink(input, self.lambd)


class Softmax(Module):
    """Softmax along `dim`."""

    def __init__(self, dim: int | None = None, *, rngs: nnx.Rngs | None = None) -> None:
        self.dim = dim

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise along `dim`."""
        return softmax(input, self.dim)


class LogSoftmax(Module):
    """Logarithm of softmax along `dim`."""

    def __init__(self, dim: int | None = None, *, rngs: nnx.Rngs | None = None) -> None:
        self.dim = dim

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise along `dim`."""
        return log_softmax(input, self.dim)


class Softmin(Module):
    """Softmax of the negated input along `dim`."""

    def __init__(self, dim: int | None = None, *, rngs: nnx.Rngs | None = None) -> None:
        self.dim = dim

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise along `dim`."""
        return softmin(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def __init__(self, *, rngs: nnx.Rngs | None = None) -> None:
        pass

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise along the channel axis."""
        return softmax(input, -3)


class GLU(Module):
    """First half along `dim` times the sigmoid of the second half."""

    def __init__(self, dim: int = -1, *, rngs: nnx.Rngs | None = None) -> None:
        self.dim = dim

    def forward(self, input: jax.Array) -> jax.Array:
        """Halve the axis `dim`."""
        return glu(input, self.dim)
