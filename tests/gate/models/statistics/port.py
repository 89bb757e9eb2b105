import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.shift = nnx.Param(jnp.zeros(6))

    def __call__(self, x):
        x = x + self.shift[...]
        unit = x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        running = jnp.cumsum(x, axis=1)
        spread = jnp.std(x, axis=0, ddof=1)
        middle = jnp.sort(x, axis=1)[:, (x.shape[1] - 1) // 2]
        clipped = jnp.clip(x, -0.5, 1.0)
        best = jnp.argmax(x, axis=1)
        order = jnp.argsort(x, axis=1, descending=True)
        ordered = jnp.take_along_axis(x, order, axis=1)
        whole = order // 2 - (best[:, None] - 3) % 4
        tail = x[:, 1:] - x[:, :-1]
        return unit, running, spread, middle, clipped, best, ordered, whole, tail
