import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.embed = nnx.Embed(11, 6, rngs=rngs)
        self.fc = nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, tokens):
        keep = (tokens != 0)[..., None]
        x = self.embed(tokens)
        # the row of padding is looked up, and gets no gradient
        x = jnp.where(keep, x, jax.lax.stop_gradient(x))
        total = (x * keep).sum(axis=1)
        mean = total / jnp.maximum(keep.sum(axis=1), 1)
        return self.fc(mean), x
