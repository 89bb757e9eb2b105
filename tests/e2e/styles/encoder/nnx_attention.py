"""nnx.MultiHeadAttention: kernels by heads out of the packed projection."""

from flax import nnx


class Layer(nnx.Module):
    def __init__(self, *, rngs):
        self.norm1 = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.self_attn = nnx.MultiHeadAttention(2, 6, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.linear1 = nnx.Linear(6, 12, rngs=rngs)
        self.linear2 = nnx.Linear(12, 6, rngs=rngs)

    def __call__(self, x):
        x = x + self.self_attn(self.norm1(x))
        return x + self.linear2(nnx.gelu(self.linear1(self.norm2(x)), approximate=False))


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.layers = nnx.List([Layer(rngs=rngs) for _ in range(2)])
        self.norm = nnx.LayerNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)
