import jax.numpy as jnp
from flax import nnx


class Buffer(nnx.Variable):
    """State that is saved and not trained."""


class BatchNorm(nnx.Module):
    """Channels last, running variance unbiased."""

    def __init__(self, features):
        self.scale = nnx.Param(jnp.ones((features,)))
        self.bias = nnx.Param(jnp.zeros((features,)))
        self.mean = Buffer(jnp.zeros((features,)))
        self.var = Buffer(jnp.ones((features,)))
        self.use_running_average = False

    def __call__(self, x):
        mean, var = self.mean[...], self.var[...]
        if not self.use_running_average:
            axes = tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            var = jnp.square(x - mean).mean(axes)
            count = x.size // x.shape[-1]
            self.mean[...] = 0.9 * self.mean[...] + 0.1 * mean
            self.var[...] = 0.9 * self.var[...] + 0.1 * var * count / (count - 1)
        return (x - mean) / jnp.sqrt(var + 1e-5) * self.scale[...] + self.bias[...]


class Net(nnx.Module):
    def __init__(self, classes, *, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), strides=2, padding=((1, 1), (1, 1)), rngs=rngs)
        self.norm = BatchNorm(8)
        self.drop = nnx.Dropout(0.25, rngs=rngs)
        self.fc = nnx.Linear(8 * 3 * 4, classes, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x.transpose(0, 2, 3, 1))))
        x = nnx.max_pool(x, (2, 2), strides=(2, 2)).transpose(0, 3, 1, 2)
        return self.fc(self.drop(x.reshape(x.shape[0], -1)))
