"""Linen: MultiHeadDotProductAttention inside of nn.scan."""

from flax import linen as nn


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        y = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)(x)
        x = x + nn.MultiHeadDotProductAttention(2)(y, y)
        y = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)(x)
        return x + nn.Dense(6)(nn.gelu(nn.Dense(12)(y), approximate=False)), None


class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
        scanned = nn.scan(Layer, {"params": 0}, split_rngs={"params": True}, length=2)
        x, _ = scanned()(x, None)
        return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)(x)
