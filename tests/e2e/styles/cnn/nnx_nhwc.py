"""Channels last, layers of nnx under names of the port's own, torch's running variance."""

import jax
from flax import nnx


class BatchNorm(nnx.BatchNorm):
    """nnx.BatchNorm, with the unbiased variance as its running one."""

    def __call__(self, x):
        before = self.var[...]
        y = super().__call__(x)
        if not self.use_running_average:
            count = x.size // x.shape[-1]
            self.var[...] += (self.var[...] - 0.9 * before) / (count - 1)
        return y


class Model(nnx.Module):
    def __init__(self, classes=5, *, rngs):
        norm = {"momentum": 0.9, "epsilon": 1e-5, "use_fast_variance": False, "rngs": rngs}
        self.stem = nnx.Conv(3, 8, (3, 3), padding=1, rngs=rngs)
        self.stem_norm = BatchNorm(8, **norm)
        self.down = nnx.Conv(8, 8, (3, 3), strides=2, padding=1, use_bias=False, rngs=rngs)
        self.down_norm = BatchNorm(8, **norm)
        self.classifier = nnx.Linear(8, classes, rngs=rngs)

    def __call__(self, x):
        x = x.transpose(0, 2, 3, 1)
        x = nnx.relu(self.stem_norm(self.stem(x)))
        x = nnx.max_pool(x, (2, 2), strides=(2, 2))
        x = jax.nn.relu(self.down_norm(self.down(x)))
        return self.classifier(x.mean((1, 2)))
