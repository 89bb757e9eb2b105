import math

import jax
import jax.numpy as jnp
from flax import nnx


class Block(nnx.Module):
    def __init__(self, width, heads, *, rngs):
        self.heads = heads
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)
        self.mask = jnp.tril(jnp.ones((16, 16), bool))

    def __call__(self, x):
        b, t, c = x.shape
        h = self.norm(x.astype(jnp.float32))
        q, k, v = jnp.moveaxis(self.qkv(h).reshape(b, t, 3, self.heads, c // self.heads), 2, 0)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(c // self.heads)
        scores = jnp.where(self.mask[:t, :t], scores, -jnp.inf)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
        return x + self.out(y.reshape(b, t, c))


class GPT(nnx.Module):
    def __init__(self, vocabulary=11, width=8, heads=2, layers=2, *, rngs):
        self.tokens = nnx.Embed(vocabulary, width, rngs=rngs)
        self.blocks = nnx.List(Block(width, heads, rngs=rngs) for _ in range(layers))

    def __call__(self, ids):
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x)
        return {"logits": self.tokens.attend(x), "hidden": x}
