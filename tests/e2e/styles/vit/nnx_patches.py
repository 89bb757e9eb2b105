"""nnx: the patches are cut out and go through a Linear; attention by heads."""

import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.embed = nnx.Linear(8, 8, rngs=rngs)
        self.cls = nnx.Param(jnp.zeros(8))
        self.pos = nnx.Param(jnp.zeros((10, 8)))
        self.norm = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        n = x.shape[0]
        patches = x[:, :, :6, :6].reshape(n, 2, 3, 2, 3, 2).transpose(0, 2, 4, 3, 5, 1)
        tokens = self.embed(patches.reshape(n, 9, 8))
        cls = jnp.broadcast_to(self.cls[...], (n, 1, 8))
        x = jnp.concatenate([cls, tokens], 1) + self.pos[...]
        x = x + self.attn(self.norm(x))
        return self.head(x[:, 0])
