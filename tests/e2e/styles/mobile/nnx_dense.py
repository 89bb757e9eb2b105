"""nnx, channels last: convolutions of size 1 are Linear, statistics are those of the batch."""

import jax
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.expand = nnx.Linear(3, 6, use_bias=False, rngs=rngs)
        self.depthwise = nnx.Conv(
            6, 6, (3, 3), padding=1, feature_group_count=6, use_bias=False, rngs=rngs
        )
        self.norm_scale = nnx.Param(jax.numpy.ones(6))
        self.norm_bias = nnx.Param(jax.numpy.zeros(6))
        self.squeeze1 = nnx.Linear(6, 4, rngs=rngs)
        self.squeeze2 = nnx.Linear(4, 6, rngs=rngs)
        self.project = nnx.Linear(6, 3, rngs=rngs)

    def norm(self, x):
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) / jax.numpy.sqrt(var + 1e-5) * self.norm_scale[...] + self.norm_bias[...]

    def __call__(self, x):
        x = x.transpose(0, 2, 3, 1)
        y = hard_swish(self.norm(self.depthwise(hard_swish(self.expand(x)))))
        s = self.squeeze2(nnx.relu(self.squeeze1(y.mean((1, 2)))))
        y = y * nnx.sigmoid(s)[:, None, None]
        return (x + self.project(y)).transpose(0, 3, 1, 2)


def hard_swish(x):
    return x * jax.nn.relu6(x + 3) / 6
