"""Layers whose parameters are stacked, applied by nnx.scan; the projection stays packed."""

import jax.numpy as jnp
from flax import nnx


class Layer(nnx.Module):
    def __init__(self, rngs):
        self.norm1 = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.qkv = nnx.Linear(6, 18, rngs=rngs)
        self.out = nnx.Linear(6, 6, rngs=rngs)
        self.norm2 = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.up = nnx.Linear(6, 12, rngs=rngs)
        self.down = nnx.Linear(12, 6, rngs=rngs)

    def attend(self, x):
        q, k, v = (p.reshape(*x.shape[:2], 2, 3) for p in jnp.split(self.qkv(x), 3, -1))
        y = nnx.dot_product_attention(q, k, v)
        return self.out(y.reshape(x.shape))

    def __call__(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(nnx.gelu(self.up(self.norm2(x)), approximate=False))


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.layers = nnx.vmap(Layer, in_axes=0)(rngs.fork(split=2))
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def apply(x, layer):
            return layer(x)

        return self.norm(apply(x, self.layers))
