import jax
import jax.numpy as jnp
from flax import nnx


class Forecaster(nnx.Module):
    """A GRU whose biases are summed where the gates allow it."""

    def __init__(self, features, width, *, rngs):
        self.width = width
        self.wx = nnx.Param(jnp.zeros((features, 3 * width)))
        self.wh = nnx.Param(jnp.zeros((width, 3 * width)))
        self.gate_bias = nnx.Param(jnp.zeros((2 * width,)))
        self.new_bias = nnx.Param(jnp.zeros((width,)))
        self.hidden_bias = nnx.Param(jnp.zeros((width,)))

    def __call__(self, x, state=None):
        w = self.width

        def step(h, xt):
            gx, gh = xt @ self.wx[...], h @ self.wh[...]
            r, z = jnp.split(
                jax.nn.sigmoid(gx[:, : 2 * w] + gh[:, : 2 * w] + self.gate_bias[...]), 2, axis=1
            )
            n = gx[:, 2 * w :] + self.new_bias[...] + r * (gh[:, 2 * w :] + self.hidden_bias[...])
            h = (1 - z) * jnp.tanh(n) + z * h
            return h, h

        h, ys = jax.lax.scan(step, state[0], x.transpose(1, 0, 2))
        return ys.transpose(1, 0, 2), h[None]
