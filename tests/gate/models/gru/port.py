import jax
import jax.numpy as jnp
from flax import nnx


class GRU(nnx.Module):
    """torch's GRU: gates r, z, n, the hidden bias of n inside of the reset product."""

    def __init__(self, features_in, features, *, rngs: nnx.Rngs):
        self.input = nnx.Linear(features_in, 3 * features, rngs=rngs)
        self.hidden = nnx.Linear(features, 3 * features, rngs=rngs)

    def __call__(self, x, h):
        def step(h, gates):
            ir, iz, i_n = jnp.split(gates, 3, axis=-1)
            hr, hz, hn = jnp.split(self.hidden(h), 3, axis=-1)
            r = jax.nn.sigmoid(ir + hr)
            z = jax.nn.sigmoid(iz + hz)
            n = jnp.tanh(i_n + r * hn)
            h = (1 - z) * n + z * h
            return h, h

        h, y = jax.lax.scan(step, h, self.input(x))
        return y, h


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.gru = GRU(5, 6, rngs=rngs)
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x, h0):
        y, h = self.gru(x, h0[0])
        return self.norm(y), h[None]
