"""nnx: the bag as a mean over an Embed, the bilinear form as an einsum."""

import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.user = nnx.Embed(12, 6, rngs=rngs)
        self.item = nnx.List([nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)])
        self.cross = nnx.Param(jnp.zeros((3, 6, 6)))
        self.cross_bias = nnx.Param(jnp.zeros(3))
        self.temperature = nnx.Param(jnp.zeros(()))

    def __call__(self, history, features):
        u = self.user(history).mean(1)
        first, second = self.item
        i = second(nnx.leaky_relu(first(features), 0.1))
        norms = jnp.linalg.norm(u, axis=-1) * jnp.linalg.norm(i, axis=-1)
        score = (u * i).sum(-1) / jnp.maximum(norms, 1e-8) / jnp.exp(self.temperature[...])
        cross = jnp.einsum("na,kab,nb->nk", u, self.cross[...], i) + self.cross_bias[...]
        return {"score": score, "cross": cross, "parts": (u, i)}
