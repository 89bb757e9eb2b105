"""Both blocks stacked in one set of variables and scanned over."""

import jax
import jax.numpy as jnp
from flax import nnx

SHAPES = {
    "s1": (8,), "b1": (8,), "wa": (24, 8), "ba": (24,), "wp": (8, 8), "bp": (8,),
    "s2": (8,), "b2": (8,), "wf": (32, 8), "bf": (32,), "wo": (8, 32), "bo": (8,),
}  # fmt: skip


def norm(x, scale, bias):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5) * scale + bias


def block(x, p):
    t = x.shape[1]
    qkv = norm(x, p["s1"], p["b1"]) @ p["wa"].T + p["ba"]
    q, k, v = (z.reshape(*z.shape[:2], 2, 4) for z in jnp.split(qkv, 3, axis=-1))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * 0.5
    keep = jnp.tril(jnp.ones((t, t), bool))
    y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, axis=-1, where=keep), v)
    x = x + y.reshape(x.shape) @ p["wp"].T + p["bp"]
    hidden = jax.nn.gelu(norm(x, p["s2"], p["b2"]) @ p["wf"].T + p["bf"], approximate=True)
    return x + hidden @ p["wo"].T + p["bo"], None


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.tokens = nnx.Param(jnp.zeros((17, 8)))
        self.positions = nnx.Param(jnp.zeros((10, 8)))
        self.blocks = nnx.Dict({n: nnx.Param(jnp.zeros((2, *s))) for n, s in SHAPES.items()})
        self.scale = nnx.Param(jnp.ones(8))
        self.shift = nnx.Param(jnp.zeros(8))

    def __call__(self, idx):
        x = self.tokens[idx] + self.positions[: idx.shape[1]]
        x, _ = jax.lax.scan(block, x, {n: self.blocks[n][...] for n in SHAPES})
        return norm(x, self.scale[...], self.shift[...]) @ self.tokens[...].T
