"""Linen, gates fused into two kernels and one bias per layer, an explicit scan."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class Layer(nn.Module):
    size: int

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.lecun_normal()
        wi = self.param("wi", init, (x.shape[-1], 4 * self.size))
        wh = self.param("wh", init, (self.size, 4 * self.size))
        b = self.param("b", nn.initializers.zeros, (4 * self.size,))

        def cell(carry, step):
            h, c = carry
            i, f, g, o = jnp.split(step + h @ wh + b, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((x.shape[0], self.size), x.dtype)
        (h, c), y = jax.lax.scan(cell, (zero, zero), (x @ wi).swapaxes(0, 1))
        return y.swapaxes(0, 1), h, c


class Model(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(11, 5)(tokens)
        x, h1, c1 = Layer(5)(x)
        x, h2, c2 = Layer(5)(x)
        return {
            "logits": nn.Dense(3)(x), "hidden": jnp.stack([h1, h2]), "cell": jnp.stack([c1, c2])
        }  # fmt: skip
