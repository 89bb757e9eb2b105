import jax
import jax.numpy as jnp
from flax import nnx


def heads(z):
    return z.reshape(*z.shape[:2], 2, 4).swapaxes(1, 2)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.qkv = nnx.Linear(8, 24, rngs=rngs)
        self.out = nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x, keys, values):
        used, new = 3, x.shape[1]
        q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        keys = keys.at[:, used : used + new].set(k)
        values = values.at[:, used : used + new].set(v)
        scores = heads(q) @ heads(keys).swapaxes(-1, -2) / 4**0.5
        keep = jnp.arange(keys.shape[1]) <= jnp.arange(new)[:, None] + used
        weights = jax.nn.softmax(jnp.where(keep, scores, -jnp.inf), axis=-1)
        y = (weights @ heads(values)).swapaxes(1, 2)
        return self.out(y.reshape(x.shape)), keys, values
