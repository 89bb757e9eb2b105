"""nnx: Embed.attend for the tied head, three projections, gate and up apart."""

import jax.numpy as jnp
from flax import nnx


class Block(nnx.Module):
    def __init__(self, *, rngs):
        norm = {"epsilon": 1e-5, "use_fast_variance": False, "rngs": rngs}
        self.ln_1 = nnx.LayerNorm(8, **norm)
        self.query = nnx.Linear(8, 8, rngs=rngs)
        self.key = nnx.Linear(8, 8, rngs=rngs)
        self.value = nnx.Linear(8, 8, rngs=rngs)
        self.proj = nnx.Linear(8, 8, rngs=rngs)
        self.ln_2 = nnx.LayerNorm(8, **norm)
        self.gate = nnx.Linear(8, 12, use_bias=False, rngs=rngs)
        self.up = nnx.Linear(8, 12, use_bias=False, rngs=rngs)
        self.down = nnx.Linear(12, 8, use_bias=False, rngs=rngs)

    def __call__(self, x):
        y = self.ln_1(x)
        heads = (*x.shape[:2], 2, 4)
        q, k, v = (f(y).reshape(heads) for f in (self.query, self.key, self.value))
        mask = nnx.make_causal_mask(jnp.ones(x.shape[:2]), dtype=bool)
        y = nnx.dot_product_attention(q, k, v, mask=mask)
        x = x + self.proj(y.reshape(x.shape))
        y = self.ln_2(x)
        return x + self.down(nnx.silu(self.gate(y)) * self.up(y))


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.wte = nnx.Embed(13, 8, rngs=rngs)
        self.wpe = nnx.Embed(10, 8, rngs=rngs)
        self.blocks = nnx.List([Block(rngs=rngs) for _ in range(2)])
        self.ln_f = nnx.LayerNorm(8, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, tokens):
        x = self.wte(tokens) + self.wpe(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.wte.attend(self.ln_f(x))
