"""Dropout: one draw of a keep-mask for each of torch's draws, of torch's shape."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.base import Module


def keep_mask(shape: Sequence[int], p: float, rngs: nnx.Rngs | None) -> jax.Array:
    """True with probability 1 - p, drawn from the stream `dropout`."""
    if rngs is None:
        raise ValueError("dropout in train mode needs rngs")
    return jax.random.bernoulli(rngs.dropout(), 1 - p, tuple(shape))


def apply_dropout(
    input: jax.Array, p: float, training: bool, rngs: nnx.Rngs | None, mask_shape: Sequence[int]
) -> jax.Array:
    """Zero where the mask says so, scale the rest by 1/(1-p); p of 0 and 1 draw nothing."""
    if not training or p == 0:
        return input
    if p == 1:
        return jnp.zeros_like(input)
    return jnp.where(keep_mask(mask_shape, p, rngs), input / (1 - p), 0)


def dropout(
    input: jax.Array,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Drop single elements."""
    return apply_dropout(input, p, training, rngs, input.shape)


def feature_mask_shape(input: jax.Array) -> tuple[int, ...]:
    """The mask shape that drops whole channels: (N, C, 1, ...)."""
    return (*input.shape[:2], *(1,) * (input.ndim - 2))


def dropout1d(
    input: jax.Array,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Drop channels of (N, C, L) or (C, L)."""
    batch = input if input.ndim == 3 else input[None]
    output = apply_dropout(batch, p, training, rngs, feature_mask_shape(batch))
    return output if input.ndim == 3 else output[0]


def dropout2d(
    input: jax.Array,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Drop channels of (N, C, H, W); three axes are read as (N, C, L), as torch does."""
    return apply_dropout(input, p, training, rngs, feature_mask_shape(input))


def dropout3d(
    input: jax.Array,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Drop channels of (N, C, D, H, W) or (C, D, H, W)."""
    batch = input if input.ndim == 5 else input[None]
    output = apply_dropout(batch, p, training, rngs, feature_mask_shape(batch))
    return output if input.ndim == 5 else output[0]


def apply_alpha_dropout(
    input: jax.Array, p: float, training: bool, rngs: nnx.Rngs | None, mask_shape: Sequence[int]
) -> jax.Array:
    """Dropout that keeps mean and variance of SELU's output: dropped elements become -alpha'."""
    if not training or p == 0:
        return input
    if p == 1:
        return jnp.zeros_like(input)
    alpha = 1.7580993408473766
    scale = 1 / math.sqrt((alpha**2 * p + 1) * (1 - p))
    kept = keep_mask(mask_shape, p, rngs)
    shift = scale * alpha * p
    return jnp.where(kept, input * scale + shift, shift - scale * alpha)


def alpha_dropout(
    input: jax.Array,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Alpha dropout of single elements; off by default, as in torch."""
    return apply_alpha_dropout(input, p, training, rngs, input.shape)


def feature_alpha_dropout(
    input: jax.Array,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Alpha dropout of whole channels; off by default, as in torch."""
    return apply_alpha_dropout(input, p, training, rngs, feature_mask_shape(input))


class DropoutNd(Module):
    """What the dropout layers share: the rate and a random stream of their own."""

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.p = p
        self.rngs = rngs.fork() if rngs is not None else None


class Dropout(DropoutNd):
    """Drops single elements."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return dropout(input, self.p, self.training, rngs=self.rngs)


class Dropout1d(DropoutNd):
    """Drops channels of (N, C, L) or (C, L)."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return dropout1d(input, self.p, self.training, rngs=self.rngs)


class Dropout2d(DropoutNd):
    """Drops channels of (N, C, H, W)."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return dropout2d(input, self.p, self.training, rngs=self.rngs)


class Dropout3d(DropoutNd):
    """Drops channels of (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return dropout3d(input, self.p, self.training, rngs=self.rngs)


class AlphaDropout(DropoutNd):
    """Dropout that keeps the mean and variance of SELU activations."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return alpha_dropout(input, self.p, self.training, rngs=self.rngs)


class FeatureAlphaDropout(DropoutNd):
    """Alpha dropout of whole channels."""

    def forward(self, input: jax.Array) -> jax.Array:
        """Identity in eval mode."""
        return feature_alpha_dropout(input, self.p, self.training, rngs=self.rngs)
