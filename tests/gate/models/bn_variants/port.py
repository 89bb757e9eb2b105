import jax
import jax.numpy as jnp
from flax import nnx


class BatchNorm(nnx.Module):
    """Normalises axis 1; without `momentum` the running values are averages over all batches."""

    def __init__(self, features, *, eps=1e-5, momentum=None, affine=True, track=True):
        self.scale = nnx.Param(jnp.ones(features)) if affine else None
        self.bias = nnx.Param(jnp.zeros(features)) if affine else None
        self.mean = nnx.BatchStat(jnp.zeros(features)) if track else None
        self.var = nnx.BatchStat(jnp.ones(features)) if track else None
        self.count = nnx.BatchStat(jnp.zeros((), int)) if track else None
        self.eps = eps
        self.momentum = momentum
        self.use_running_average = False

    def update(self, mean, var):
        self.count[...] += 1
        step = 1 / self.count[...] if self.momentum is None else self.momentum
        self.mean[...] = self.mean[...] + step * (mean - self.mean[...])
        self.var[...] = self.var[...] + step * (var - self.var[...])

    def __call__(self, x):
        mean, var = x.mean((0, 2)), x.var((0, 2))
        if self.mean is not None and self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        elif self.mean is not None:
            self.update(mean, x.var((0, 2), ddof=1))
        y = (x - mean[:, None]) / jnp.sqrt(var + self.eps)[:, None]
        if self.scale is None:
            return y
        return y * self.scale[...][:, None] + self.bias[...][:, None]


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.cumulative = BatchNorm(5)
        self.fast = BatchNorm(5, eps=1e-3, momentum=0.3, affine=False)
        self.batch = BatchNorm(5, track=False)

    def __call__(self, x):
        return self.cumulative(x), self.fast(jax.nn.relu(x)), self.batch(x**2)
