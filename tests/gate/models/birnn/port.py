import jax
import jax.numpy as jnp
from flax import nnx


class Direction(nnx.Module):
    """One direction of one layer, time first."""

    def __init__(self, features_in, features, reverse, *, rngs: nnx.Rngs):
        self.input = nnx.Linear(features_in, features, rngs=rngs)
        self.hidden = nnx.Linear(features, features, rngs=rngs)
        self.reverse = reverse

    def __call__(self, x):
        def step(h, inner):
            h = jnp.tanh(inner + self.hidden(h))
            return h, h

        start = jnp.zeros((x.shape[1], self.hidden.in_features), x.dtype)
        return jax.lax.scan(step, start, self.input(x), reverse=self.reverse)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        sizes = (4, 8)
        self.forwards = nnx.List(Direction(n, 4, False, rngs=rngs) for n in sizes)
        self.backwards = nnx.List(Direction(n, 4, True, rngs=rngs) for n in sizes)

    def __call__(self, x):
        x = x.swapaxes(0, 1)
        states = []
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            (h, y), (g, z) = ahead(x), back(x)
            x = jnp.concatenate([y, z], axis=-1)
            states += [h, g]
        return x.swapaxes(0, 1), jnp.stack(states)
