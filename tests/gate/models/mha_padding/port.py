import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.query = nnx.LinearGeneral(8, (2, 4), rngs=rngs)
        self.key = nnx.LinearGeneral(8, (2, 4), rngs=rngs)
        self.value = nnx.LinearGeneral(8, (2, 4), rngs=rngs)
        self.out = nnx.LinearGeneral((2, 4), 8, axis=(-2, -1), rngs=rngs)

    def __call__(self, x, padded):
        padded = padded & (jnp.arange(x.shape[1]) > 0)
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(q.shape[-1])
        scores = jnp.where(padded[:, None, None, :], -jnp.inf, scores)
        weights = jax.nn.softmax(scores, axis=-1)
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
        return self.out(y), weights.mean(axis=1)
