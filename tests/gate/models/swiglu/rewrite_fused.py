"""Gate and up in one projection; the first norm's offset scale is computed at call."""

import jax.numpy as jnp
from flax import nnx


def rms(x, eps):
    return x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + eps)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.offset = nnx.Param(jnp.zeros(6))
        self.scale = nnx.Param(jnp.ones(6))
        self.wide = nnx.Linear(6, 20, use_bias=False, rngs=rngs)
        self.down = nnx.Linear(10, 6, use_bias=False, rngs=rngs)

    def __call__(self, x):
        y = rms(x, 1e-6)
        gate, up = jnp.split(self.wide(y + y * self.offset[...]), 2, axis=-1)
        return self.scale[...] * rms(x + self.down(nnx.silu(gate) * up), 1e-5)
