"""nnx: both products as layers, although the source holds one as a bare square matrix."""

import jax
import jax.numpy as jnp
from flax import nnx


@jax.custom_jvp
def clamp(degree):
    """At least 1, with a derivative of 1 at 1, as torch has it."""
    return jnp.maximum(degree, 1)


clamp.defjvps(lambda t, out, degree: jnp.where(degree >= 1, t, 0))


class GraphConv(nnx.Module):
    def __init__(self, into, out, *, rngs):
        self.neighbours = nnx.Linear(into, out, use_bias=False, rngs=rngs)
        self.root = nnx.Linear(into, out, rngs=rngs)

    def __call__(self, x, adjacency):
        degree = clamp(adjacency.sum(-1, keepdims=True))
        return adjacency @ self.neighbours(x) / degree + self.root(x)


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.conv1 = GraphConv(6, 6, rngs=rngs)
        self.conv2 = GraphConv(6, 6, rngs=rngs)
        self.readout = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x, adjacency):
        x = nnx.relu(self.conv1(x, adjacency))
        x = nnx.relu(self.conv2(x, adjacency))
        return x, self.readout(x.max(-2))
