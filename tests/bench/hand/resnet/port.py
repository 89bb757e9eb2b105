"""The residual classifier, written by hand: channels last inside."""

import jax
import jax.numpy as jnp
from flax import nnx


def conv(width: int, out: int, kernel: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    padding = kernel // 2
    return nnx.Conv(
        width, out, (kernel, kernel), stride, padding=padding, use_bias=False, rngs=rngs
    )


def norm(width: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(width, momentum=0.9, epsilon=1e-5, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, width: int, out: int, stride: int, *, rngs: nnx.Rngs):
        self.conv1 = conv(width, out, 3, stride, rngs)
        self.bn1 = norm(out, rngs)
        self.conv2 = conv(out, out, 3, 1, rngs)
        self.bn2 = norm(out, rngs)
        down = [conv(width, out, 1, stride, rngs), norm(out, rngs)] if stride > 1 else []
        self.down = nnx.Sequential(*down)

    def __call__(self, x: jax.Array) -> jax.Array:
        shortcut = self.down(x)
        x = nnx.relu(self.bn1(self.conv1(x)))
        return nnx.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nnx.Module):
    def __init__(self, width: int = 32, classes: int = 10, *, rngs: nnx.Rngs):
        self.conv1 = conv(3, width, 3, 1, rngs)
        self.bn1 = norm(width, rngs)
        layers = []
        for stage in range(3):
            out = width * 2**stage
            first = out if stage == 0 else out // 2
            layers += [Block(first, out, 1 if stage == 0 else 2, rngs=rngs)]
            layers += [Block(out, out, 1, rngs=rngs)]
        self.layers = nnx.Sequential(*layers)
        self.fc = nnx.Linear(4 * width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.bn1(self.conv1(x.transpose(0, 2, 3, 1))))
        return self.fc(jnp.mean(self.layers(x), axis=(1, 2)))
