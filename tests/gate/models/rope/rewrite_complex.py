"""Rotation as a complex product, and grouped heads by einsum without repeating the keys."""

import jax
import jax.numpy as jnp
from flax import nnx


def rotate(x, positions):
    """Halves of the last axis as real and imaginary part, turned by position."""
    half = x.shape[-1] // 2
    turn = jnp.exp(1j * positions[:, None] * 100.0 ** (-jnp.arange(half) / half))
    z = (x[..., :half] + 1j * x[..., half:]) * turn[:, None, :]
    return jnp.concatenate([z.real, z.imag], axis=-1)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.qkv = nnx.Linear(16, 32, use_bias=False, rngs=rngs)
        self.o_proj = nnx.Linear(16, 16, use_bias=False, rngs=rngs)

    def __call__(self, x):
        b, t, _ = x.shape
        q, k, v = jnp.split(self.qkv(x), [16, 24], axis=-1)
        k, v = k.reshape(b, t, 2, 4), v.reshape(b, t, 2, 4)
        q = rotate(q.reshape(b, t, 4, 4), jnp.arange(t)).reshape(b, t, 2, 2, 4)
        k = rotate(k, jnp.arange(t))
        scores = jnp.einsum("bqgrd,bkgd->bgrqk", q, k) * 0.5
        keep = jnp.arange(t)[:, None] >= jnp.arange(t)
        weights = jax.nn.softmax(scores, axis=-1, where=keep)
        return self.o_proj(jnp.einsum("bgrqk,bkgd->bqgrd", weights, v).reshape(b, t, 16))
