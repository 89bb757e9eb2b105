"""Activations as modules."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    mish,
    prelu,
    relu6,
    rrelu,
    softmax,
    softmin,
    softplus,
    softshrink,
    tanhshrink,
    threshold,
)
from ferry.prelude.base import Module


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


class RReLU(Module):
    """Leaky ReLU whose slope is drawn from U(lower, upper) in train mode."""

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        inplace: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.lower = lower
        self.upper = upper
        self.rngs = rngs.fork() if rngs is not None else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Scale the negative values."""
        return rrelu(input, self.lower, self.upper, self.training, rngs=self.rngs)
