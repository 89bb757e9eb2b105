"""Channels first throughout: lax convolutions on torch's own layouts."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


def per_channel(values):
    return values[:, None, None]


class ConvNorm(nnx.Module):
    def __init__(self, features_in, features, stride):
        self.w = nnx.Param(jnp.zeros((features, features_in, 3, 3)))
        self.b = nnx.Param(jnp.zeros(features))
        self.gamma = nnx.Param(jnp.ones(features))
        self.beta = nnx.Param(jnp.zeros(features))
        self.running_mean = nnx.BatchStat(jnp.zeros(features))
        self.running_var = nnx.BatchStat(jnp.ones(features))
        self.stride = stride
        self.use_running_average = False

    def __call__(self, x):
        pads = [(1, 1), (1, 1)]
        x = lax.conv(x, self.w[...], (1, 1), "SAME") if self.stride == 1 else (
            lax.conv_general_dilated(x, self.w[...], (self.stride,) * 2, pads)
        )  # fmt: skip
        x = x + per_channel(self.b[...])
        mean, var = self.running_mean[...], self.running_var[...]
        if not self.use_running_average:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            unbiased = x.var((0, 2, 3), ddof=1)
            self.running_mean[...] += 0.1 * (mean - self.running_mean[...])
            self.running_var[...] += 0.1 * (unbiased - self.running_var[...])
        x = (x - per_channel(mean)) * lax.rsqrt(per_channel(var) + 1e-5)
        return jax.nn.relu(x * per_channel(self.gamma[...]) + per_channel(self.beta[...]))


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.first = ConvNorm(3, 8, 1)
        self.second = ConvNorm(8, 6, 2)
        self.head = nnx.Linear(72, 5, rngs=rngs)

    def __call__(self, x):
        x = self.first(x)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        return self.head(self.second(x).reshape(-1, 72))
