import jax
import jax.numpy as jnp
from flax import nnx


class BatchNorm(nnx.BatchNorm):
    """flax's batch norm but for the running variance, which is unbiased."""

    def __init__(self, features, *, rngs: nnx.Rngs):
        super().__init__(features, momentum=0.9, use_fast_variance=False, rngs=rngs)

    def __call__(self, x):
        before = self.var[...]
        y = super().__call__(x)
        if not self.use_running_average:
            n = x.size // x.shape[-1]
            self.var[...] = 0.9 * before + (self.var[...] - 0.9 * before) * n / (n - 1)
        return y


def conv(cin, cout, size, stride, rngs):
    pad = (size - 1) // 2
    return nnx.Conv(cin, cout, (size, size), strides=stride, padding=pad, use_bias=False, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, cin, cout, stride, *, rngs: nnx.Rngs):
        self.conv1 = conv(cin, cout, 3, stride, rngs)
        self.bn1 = BatchNorm(cout, rngs=rngs)
        self.conv2 = conv(cout, cout, 3, 1, rngs)
        self.bn2 = BatchNorm(cout, rngs=rngs)
        self.projects = stride != 1 or cin != cout
        if self.projects:
            self.down_conv = conv(cin, cout, 1, stride, rngs)
            self.down_bn = BatchNorm(cout, rngs=rngs)

    def __call__(self, x):
        skip = self.down_bn(self.down_conv(x)) if self.projects else x
        x = jax.nn.relu(self.bn1(self.conv1(x)))
        return jax.nn.relu(self.bn2(self.conv2(x)) + skip)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.blocks = nnx.List([Block(3, 3, 1, rngs=rngs), Block(3, 5, 2, rngs=rngs)])
        self.fc = nnx.Linear(5, 4, rngs=rngs)

    def __call__(self, x):
        x = jnp.moveaxis(x, 1, -1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean(axis=(1, 2)))
