"""nnx: a cell by gates of three kernels, and lax.scan over time."""

import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.inputs = nnx.Linear(4, 18, rngs=rngs)
        self.hidden = nnx.Linear(6, 18, rngs=rngs)
        self.memory = nnx.Param(jnp.zeros((5, 6)))
        self.read = nnx.Param(jnp.zeros((6, 6)))
        self.write = nnx.Linear(12, 4, rngs=rngs)
        self.decay = nnx.Variable(jnp.zeros(6))

    def cell(self, x, h):
        xr, xz, xn = jnp.split(self.inputs(x), 3, -1)
        hr, hz, hn = jnp.split(self.hidden(h), 3, -1)
        z = nnx.sigmoid(xz + hz)
        return (1 - z) * jnp.tanh(xn + nnx.sigmoid(xr + hr) * hn) + z * h

    def __call__(self, x, state=None):
        if state is None:
            state = jnp.zeros((x.shape[0], 6), x.dtype)
        memory, read, decay = self.memory[...], self.read[...], self.decay[...]

        def step(state, x):
            state = self.cell(x, state * decay)
            weights = jax.nn.softmax(state @ read @ memory.T, -1)
            return state, self.write(jnp.concatenate([state, weights @ memory], -1))

        state, outputs = jax.lax.scan(step, state, x.swapaxes(0, 1))
        return outputs.swapaxes(0, 1), state
