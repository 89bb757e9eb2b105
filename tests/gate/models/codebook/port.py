import jax
import jax.numpy as jnp
from flax import nnx


class State(nnx.Variable):
    """What a model remembers and no optimizer trains."""


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.encode = nnx.Linear(6, 3, rngs=rngs)
        self.decode = nnx.Linear(3, 6, rngs=rngs)
        self.codes = State(jnp.sin(jnp.arange(15.0).reshape(5, 3)))
        self.usage = State(jnp.ones(5))
        self.calls = State(jnp.zeros((), int))
        self.deterministic = False

    def follow(self, z, index):
        hot = jax.nn.one_hot(index, 5, dtype=z.dtype)
        self.usage[...] = 0.9 * self.usage[...] + 0.1 * hot.sum(0)
        moved = 0.9 * self.codes[...] + 0.1 * (hot.T @ z) / self.usage[...][:, None]
        self.codes[...] = jax.lax.stop_gradient(moved)
        self.calls[...] += 1

    def __call__(self, x):
        z = self.encode(x)
        distance = jnp.square(z[:, None] - self.codes[...]).sum(-1)
        index = distance.argmin(axis=1)
        quantised = jax.lax.stop_gradient(self.codes[...][index])
        commitment = jnp.square(quantised - z).mean()
        if not self.deterministic:
            self.follow(z, index)
        straight = z + jax.lax.stop_gradient(quantised - z)
        return self.decode(straight), commitment, index
