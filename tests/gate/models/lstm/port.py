import jax
import jax.numpy as jnp
from flax import nnx


class LSTM(nnx.Module):
    """One layer with torch's gates i, f, g, o and both of its biases."""

    def __init__(self, features_in, features, *, rngs: nnx.Rngs):
        self.input = nnx.Linear(features_in, 4 * features, rngs=rngs)
        self.hidden = nnx.Linear(features, 4 * features, rngs=rngs)
        self.features = features

    def __call__(self, x):
        zero = jnp.zeros((x.shape[0], self.features), x.dtype)

        def step(carry, gates):
            h, c = carry
            i, f, g, o = jnp.split(gates + self.hidden(h), 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        carry, y = jax.lax.scan(step, (zero, zero), self.input(x).swapaxes(0, 1))
        return y.swapaxes(0, 1), carry


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.lstm = LSTM(5, 6, rngs=rngs)
        self.fc = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        y, (h, c) = self.lstm(x)
        return self.fc(y[:, -1]), h[None], c[None]
