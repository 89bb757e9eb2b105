"""Linen, compact, all names its own, channels last."""

from flax import linen as nn


class ResidualBlock(nn.Module):
    width: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.width, (3, 3), self.stride, padding=1, use_bias=False)(x)
        y = nn.relu(nn.GroupNorm(2, epsilon=1e-5)(y))
        y = nn.Conv(self.width, (3, 3), padding=1, use_bias=False)(y)
        y = nn.GroupNorm(2, epsilon=1e-5)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.width, (1, 1), self.stride, padding=0, use_bias=False)(x)
            x = nn.GroupNorm(2, epsilon=1e-5)(x)
        return nn.relu(x + y)


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3), padding=1)(x.transpose(0, 2, 3, 1))
        x = ResidualBlock(4, 1)(x)
        x = ResidualBlock(6, 2)(x)
        return nn.Dense(3)(x.mean((1, 2)))
