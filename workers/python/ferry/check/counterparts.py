"""What names of torch mean on the JAX side where a candidate has none of its own.

Used for `init_expr` only: an expression written for the source may name activations, norms,
identity and dtypes of torch. The modules take the constructor arguments of torch's and name
their parameters alike; `rngs` is accepted and not needed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class Activation(nnx.Module):
    """A function of one array as a module."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, x: Any) -> Any:
        return self.function(x)


class Identity(nnx.Module):
    """Returns its input, whatever the constructor was given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, x: Any) -> Any:
        return x


class LayerNorm(nnx.Module):
    """torch.nn.LayerNorm: over the last axes, biased two-pass variance."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        rngs: Any = None,
    ) -> None:
        shape = _shape(normalized_shape)
        self.axes = tuple(range(-len(shape), 0))
        self.eps = eps
        self.weight = nnx.Param(jnp.ones(shape)) if elementwise_affine else None
        self.bias = nnx.Param(jnp.zeros(shape)) if elementwise_affine and bias else None

    def __call__(self, x: Any) -> Any:
        centred = x - x.mean(self.axes, keepdims=True)
        variance = (centred * centred).mean(self.axes, keepdims=True)
        return _affine(centred / jnp.sqrt(variance + self.eps), self.weight, self.bias)


class RMSNorm(nnx.Module):
    """torch.nn.RMSNorm: `eps` None is the machine epsilon of the input's dtype."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        rngs: Any = None,
    ) -> None:
        shape = _shape(normalized_shape)
        self.axes = tuple(range(-len(shape), 0))
        self.eps = eps
        self.weight = nnx.Param(jnp.ones(shape)) if elementwise_affine else None

    def __call__(self, x: Any) -> Any:
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        return _affine(x * jax.lax.rsqrt((x * x).mean(self.axes, keepdims=True) + eps), self.weight)


class GroupNorm(nnx.Module):
    """torch.nn.GroupNorm: channels on axis 1."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        rngs: Any = None,
    ) -> None:
        self.groups = num_groups
        self.eps = eps
        self.weight = nnx.Param(jnp.ones((num_channels,))) if affine else None
        self.bias = nnx.Param(jnp.zeros((num_channels,))) if affine else None

    def __call__(self, x: Any) -> Any:
        grouped = x.reshape(x.shape[0], self.groups, -1)
        centred = grouped - grouped.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        normal = (centred / jnp.sqrt(variance + self.eps)).reshape(x.shape)
        if self.weight is None or self.bias is None:
            return normal
        per_channel = (-1, *[1] * (x.ndim - 2))
        weight, bias = self.weight[...], self.bias[...]
        return normal * weight.reshape(per_channel) + bias.reshape(per_channel)


def _affine(x: Any, weight: Any, bias: Any = None) -> Any:
    if weight is not None:
        x = x * weight[...]
    return x if bias is None else x + bias[...]


def _shape(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def gelu(x: Any, approximate: str = "none") -> Any:
    """torch's GELU: exact unless ``approximate="tanh"``."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """torch's softplus, linear above the threshold."""
    return jnp.where(x * beta > threshold, x, jax.nn.softplus(x * beta) / beta)


def softmax(x: Any, dim: int = -1) -> Any:
    """Softmax by torch's name of the axis."""
    return jax.nn.softmax(x, axis=dim)


def leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """Leaky ReLU by torch's argument names."""
    return jax.nn.leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """ELU by torch's argument names."""
    return jax.nn.elu(x, alpha)


def _plain(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function of one array that also takes torch's `inplace`."""

    def call(x: Any, inplace: bool = False) -> Any:
        return function(x)

    return call


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu": gelu,
    "relu": _plain(jax.nn.relu),
    "relu6": _plain(jax.nn.relu6),
    "silu": _plain(jax.nn.silu),
    "mish": _plain(jax.nn.mish),
    "hardswish": _plain(jax.nn.hard_swish),
    "hardsigmoid": _plain(jax.nn.hard_sigmoid),
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": softplus,
    "softmax": softmax,
    "leaky_relu": leaky_relu,
    "elu": elu,
}


def _activation(name: str) -> Callable[..., Activation]:
    """The module class of an activation: its arguments are those of the function."""

    def construct(*args: Any, **kwargs: Any) -> Activation:
        kwargs.pop("rngs", None)
        function = FUNCTIONS[name]
        return Activation(lambda x: function(x, *args, **kwargs))

    return construct


CLASSES: dict[str, Callable[..., Any]] = {
    "GELU": _activation("gelu"),
    "ReLU": _activation("relu"),
    "ReLU6": _activation("relu6"),
    "SiLU": _activation("silu"),
    "Mish": _activation("mish"),
    "Hardswish": _activation("hardswish"),
    "Hardsigmoid": _activation("hardsigmoid"),
    "Tanh": _activation("tanh"),
    "Sigmoid": _activation("sigmoid"),
    "Softplus": _activation("softplus"),
    "Softmax": _activation("softmax"),
    "LeakyReLU": _activation("leaky_relu"),
    "ELU": _activation("elu"),
    "Identity": Identity,
    "LayerNorm": LayerNorm,
    "RMSNorm": RMSNorm,
    "GroupNorm": GroupNorm,
}

DTYPES: dict[str, Any] = {
    "float": "float32", "float32": "float32", "double": "float64", "float64": "float64",
    "half": "float16", "float16": "float16", "bfloat16": "bfloat16", "int": "int32",
    "int32": "int32", "long": "int64", "int64": "int64", "int16": "int16", "int8": "int8",
    "uint8": "uint8", "bool": "bool",
}  # fmt: skip


def counterpart(name: str) -> Any:
    """What torch's `name` (without its module) means here; KeyError if nothing does."""
    if name in CLASSES:
        return CLASSES[name]
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if name == "partial":
        return functools.partial
    return jnp.dtype(DTYPES[name])
