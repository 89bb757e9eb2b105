import jax.numpy as jnp
from flax import nnx
from jax import lax


def windows(x, start, combine, size, stride, pads):
    """A reduction over windows of the last two axes."""
    pads = ((0, 0), (0, 0), *pads)
    return lax.reduce_window(x, start, combine, (1, 1, *size), (1, 1, *stride), pads)


def adaptive(x, axis, bins):
    """Means over the bins of one axis, which may overlap."""
    n = x.shape[axis]
    edges = [(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)]
    parts = [lax.slice_in_dim(x, lo, hi, axis=axis).mean(axis) for lo, hi in edges]
    return jnp.stack(parts, axis)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.gain = nnx.Param(jnp.ones(4))

    def __call__(self, x):
        a = windows(x, -jnp.inf, lax.max, (3, 3), (2, 2), ((1, 2), (1, 2)))
        b = windows(x, 0.0, lax.add, (3, 3), (2, 2), ((1, 1), (1, 1))) / 9
        ones = jnp.ones_like(x)
        total, count = (
            windows(z, 0.0, lax.add, (2, 3), (2, 3), ((1, 1), (0, 0))) for z in (x, ones)
        )
        d = adaptive(adaptive(x, 2, 3), 3, 4)
        gain = self.gain[...]
        return [gain[0] * a, gain[1] * b, gain[2] * total / count, gain[3] * d]
