"""The transformer encoder, written by hand."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

norm = partial(nnx.LayerNorm, epsilon=1e-5)


class Layer(nnx.Module):
    def __init__(self, width: int, heads: int, *, rngs: nnx.Rngs):
        self.norm1 = norm(width, rngs=rngs)
        self.self_attn = nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs)
        self.norm2 = norm(width, rngs=rngs)
        self.linear1 = nnx.Linear(width, 4 * width, rngs=rngs)
        self.linear2 = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.self_attn(self.norm1(x))
        hidden = nnx.gelu(self.linear1(self.norm2(x)), approximate=False)
        return x + self.linear2(hidden)


class Stack(nnx.Module):
    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List(Layer(width, 4, rngs=rngs) for _ in range(4))
        self.norm = norm(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class Encoder(nnx.Module):
    def __init__(
        self, vocabulary: int = 1000, width: int = 128, length: int = 64, *, rngs: nnx.Rngs
    ):
        self.tokens = nnx.Embed(vocabulary, width, rngs=rngs)
        self.places = nnx.Param(jax.random.normal(rngs.params(), (1, length, width)) * 0.02)
        self.encoder = Stack(width, rngs=rngs)
        self.head = nnx.Linear(width, 5, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.tokens(tokens) + self.places[:, : tokens.shape[1]]
        return self.head(jnp.mean(self.encoder(x), axis=1))
