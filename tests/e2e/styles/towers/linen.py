"""Linen with parameters of its own beside layers; the bilinear form by one matrix."""

import jax.numpy as jnp
from flax import linen as nn


class TwoTowers(nn.Module):
    @nn.compact
    def __call__(self, history, features):
        u = nn.Embed(12, 6, name="user")(history).mean(1)
        i = nn.Dense(6, name="item_0")(features)
        i = nn.Dense(6, name="item_2")(nn.leaky_relu(i, 0.1))
        pairs = (u[:, :, None] * i[:, None, :]).reshape(u.shape[0], -1)
        cross = nn.Dense(3, name="cross")(pairs)
        temperature = self.param("temperature", nn.initializers.zeros, ())
        unit = [v / jnp.sqrt((v * v).sum(-1, keepdims=True)) for v in (u, i)]
        score = (unit[0] * unit[1]).sum(-1) * jnp.exp(-temperature)
        return {"score": score, "cross": cross, "parts": [u, i]}
