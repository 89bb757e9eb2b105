"""The convolutional classifier, written by hand: channels last inside."""

from functools import partial

import jax
from flax import nnx


class Net(nnx.Module):
    def __init__(self, classes: int = 10, *, rngs: nnx.Rngs):
        norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.conv1 = nnx.Conv(3, 32, (5, 5), padding=2, rngs=rngs)
        self.norm1 = norm(32)
        self.conv2 = nnx.Conv(32, 64, (3, 3), padding=1, rngs=rngs)
        self.norm2 = norm(64)
        self.fc1 = nnx.Linear(64 * 8 * 8, 128, rngs=rngs)
        self.fc2 = nnx.Linear(128, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.transpose(0, 2, 3, 1)
        x = nnx.max_pool(nnx.relu(self.norm1(self.conv1(x))), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.norm2(self.conv2(x))), (2, 2), (2, 2))
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        return self.fc2(nnx.relu(self.fc1(x)))
