"""The GPT, written by hand: the embedding attends where the source has a tied head."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

norm = partial(nnx.LayerNorm, epsilon=1e-5)


class Attention(nnx.Module):
    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.proj = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        n, t, c = x.shape
        q, k, v = jnp.split(self.qkv(x).reshape(n, t, 3 * self.heads, -1), 3, axis=2)
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.reshape(n, t, c))


class Block(nnx.Module):
    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.ln1 = norm(width, rngs=rngs)
        self.attn = Attention(width, heads, rngs=rngs)
        self.ln2 = norm(width, rngs=rngs)
        self.fc = nnx.Linear(width, 4 * width, rngs=rngs)
        self.out = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attn(self.ln1(x))
        return x + self.out(nnx.gelu(self.fc(self.ln2(x))))


class GPT(nnx.Module):
    def __init__(
        self,
        vocabulary: int = 512,
        width: int = 128,
        heads: int = 4,
        length: int = 64,
        *,
        rngs: nnx.Rngs,
    ):
        self.wte = nnx.Embed(vocabulary, width, rngs=rngs)
        self.wpe = nnx.Embed(length, width, rngs=rngs)
        self.blocks = nnx.List(Block(width, heads, rngs=rngs) for _ in range(4))
        self.ln = norm(width, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.wte(tokens) + self.wpe(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.wte.attend(self.ln(x))
