"""Linen with the names that it gives by itself; its running variance is the biased one."""

from functools import partial

from flax import linen as nn


class Classifier(nn.Module):
    classes: int = 5

    @nn.compact
    def __call__(self, x, train: bool = False):
        norm = partial(
            nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5,
            use_fast_variance=False,
        )  # fmt: skip
        x = x.transpose(0, 2, 3, 1)
        x = nn.relu(norm()(nn.Conv(8, (3, 3), padding=1)(x)))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(norm()(nn.Conv(8, (3, 3), strides=2, padding=1, use_bias=False)(x)))
        return nn.Dense(self.classes)(x.mean((1, 2)))
