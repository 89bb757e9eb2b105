"""Linen: a convolution, parameters of its own, attention with a fused output."""

import jax.numpy as jnp
from flax import linen as nn


class VisionTransformer(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (2, 2), strides=2, padding="VALID", name="embedding")(
            x.transpose(0, 2, 3, 1)
        )
        x = x.reshape(x.shape[0], -1, 8)
        cls = self.param("cls", nn.initializers.zeros, (1, 1, 8))
        x = jnp.concatenate([jnp.tile(cls, (x.shape[0], 1, 1)), x], 1)
        x = x + self.param("pos_embedding", nn.initializers.zeros, (1, 10, 8))
        y = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)(x)
        x = x + nn.MultiHeadDotProductAttention(2)(y, y)
        return nn.Dense(4, name="head")(x[:, 0])
