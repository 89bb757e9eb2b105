import jax
import jax.numpy as jnp
from flax import nnx


class BatchNorm(nnx.Module):
    """Normalises the last axis; the running variance is the unbiased one."""

    def __init__(self, features):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        self.use_running_average = False

    def __call__(self, x):
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            axes = tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            var = x.var(axes)
            n = x.size // x.shape[-1]
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * mean
            self.var[...] = 0.9 * self.var[...] + 0.1 * var * n / (n - 1)
        return (x - mean) / jnp.sqrt(var + 1e-5) * self.scale[...] + self.bias[...]


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(3, 8, (3, 3), padding=1, rngs=rngs)
        self.bn1 = BatchNorm(8)
        self.conv2 = nnx.Conv(8, 6, (3, 3), strides=2, padding=1, rngs=rngs)
        self.bn2 = BatchNorm(6)
        self.fc = nnx.Linear(6 * 3 * 4, 5, rngs=rngs)

    def __call__(self, x):
        x = x.transpose(0, 2, 3, 1)
        x = nnx.max_pool(jax.nn.relu(self.bn1(self.conv1(x))), (2, 2), strides=(2, 2))
        x = jax.nn.relu(self.bn2(self.conv2(x)))
        x = x.transpose(0, 3, 1, 2)
        return self.fc(x.reshape(x.shape[0], -1))
