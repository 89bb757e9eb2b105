"""nnx, torch's names, channels first inside, the norm written out."""

import jax
import jax.numpy as jnp
from flax import nnx


class Conv(nnx.Module):
    def __init__(self, planes, width, size, stride=1, bias=False):
        self.weight = nnx.Param(jnp.zeros((width, planes, size, size)))
        self.bias = nnx.Param(jnp.zeros(width)) if bias else None
        self.stride, self.pad = stride, size // 2

    def __call__(self, x):
        pads = ((self.pad, self.pad),) * 2
        y = jax.lax.conv_general_dilated(x, self.weight[...], (self.stride,) * 2, pads)
        return y if self.bias is None else y + self.bias[...][:, None, None]


class GroupNorm(nnx.Module):
    def __init__(self, width):
        self.weight = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x):
        y = x.reshape(x.shape[0], 2, -1)
        y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt((y * y).mean(-1, keepdims=True) + 1e-5)
        y = y.reshape(x.shape)
        return y * self.weight[...][:, None, None] + self.bias[...][:, None, None]


class Block(nnx.Module):
    def __init__(self, planes, width, stride):
        self.conv1 = Conv(planes, width, 3, stride)
        self.gn1 = GroupNorm(width)
        self.conv2 = Conv(width, width, 3)
        self.gn2 = GroupNorm(width)
        self.changes = stride != 1 or planes != width
        if self.changes:
            self.downsample = nnx.Sequential(Conv(planes, width, 1, stride), GroupNorm(width))

    def __call__(self, x):
        kept = self.downsample(x) if self.changes else x
        x = nnx.relu(self.gn1(self.conv1(x)))
        return nnx.relu(self.gn2(self.conv2(x)) + kept)


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.stem = Conv(2, 4, 3, bias=True)
        self.blocks = nnx.List([Block(4, 4, 1), Block(4, 6, 2)])
        self.fc = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))
