"""Layers of Flax where they differ from torch's in one point: statistics, layout, precision.

The idiomatic style writes these in place of a layer that carries all of torch's semantics.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class BatchNorm(nnx.BatchNorm):
    """Batch norm whose running variance is the unbiased one; `momentum` weighs the old value."""

    def __init__(self, num_features: int, *, momentum: float = 0.9, **options: Any) -> None:
        super().__init__(num_features, momentum=momentum, use_fast_variance=False, **options)

    def __call__(
        self, x: jax.Array, use_running_average: bool | None = None, **options: Any
    ) -> jax.Array:
        """Normalise by the batch's statistics in training, else by the running ones."""
        before = self.var[...]
        output = super().__call__(x, use_running_average, **options)
        if use_running_average is None:
            use_running_average = self.use_running_average
        if not use_running_average:
            count = x.size // self.num_features
            kept = self.momentum * before
            self.var[...] = kept + (self.var[...] - kept) * (count / (count - 1))
        return output


class ChannelsFirstConv(nnx.Conv):
    """A convolution whose channels are on axis 1, in front of the spatial axes."""

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Convolve (N, C, ...) or (C, ...)."""
        channels = -1 - len(self.kernel_size)
        outputs = super().__call__(jnp.moveaxis(inputs, channels, -1), out_sharding)
        return jnp.moveaxis(outputs, -1, channels)


class ChannelsFirstConvTranspose(nnx.ConvTranspose):
    """A transposed convolution whose channels are on axis 1, in front of the spatial axes."""

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Convolve (N, C, ...) or (C, ...)."""
        channels = -1 - len(self.kernel_size)
        outputs = super().__call__(jnp.moveaxis(inputs, channels, -1))
        return jnp.moveaxis(outputs, -1, channels)


class ChannelsFirstGroupNorm(nnx.GroupNorm):
    """Group norm over (N, C, ...)."""

    def __call__(self, x: jax.Array, **options: Any) -> jax.Array:
        """Normalise each sample over groups of consecutive channels."""
        return jnp.moveaxis(super().__call__(jnp.moveaxis(x, 1, -1), **options), -1, 1)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    **options: Any,
) -> jax.Array:
    """Attention over (..., length, heads, features) with the softmax in the inputs' precision.

    `options` are those of training that `nnx.MultiHeadAttention` passes on.
    """
    scale = math.sqrt(query.shape[-1])
    scores = jnp.einsum("...qhd,...khd->...hqk", query / scale, key)
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(scores, axis=-1), value)
