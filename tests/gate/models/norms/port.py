import jax.numpy as jnp
from flax import nnx


class LayerNorm(nnx.Module):
    """Layer norm over all axes but the first, with weights of their shape."""

    def __init__(self, shape):
        self.scale = nnx.Param(jnp.ones(shape))
        self.bias = nnx.Param(jnp.zeros(shape))

    def __call__(self, x):
        axes = tuple(range(1, x.ndim))
        mean = x.mean(axes, keepdims=True)
        var = x.var(axes, keepdims=True)
        return (x - mean) / jnp.sqrt(var + 1e-5) * self.scale[...] + self.bias[...]


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.group = nnx.GroupNorm(
            6, num_groups=3, epsilon=1e-5, use_fast_variance=False, rngs=rngs
        )
        self.instance = nnx.InstanceNorm(6, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.plain = nnx.InstanceNorm(
            6, epsilon=1e-05, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs
        )
        self.layer = LayerNorm((6, 5, 4))

    def __call__(self, x):
        x = x.transpose(0, 2, 3, 1)
        y = self.group(x) + self.instance(jnp.sin(x))
        y = y + self.plain(x * x)
        return self.layer(y.transpose(0, 3, 1, 2))
