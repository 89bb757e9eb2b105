import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.filter = nnx.Param(jnp.zeros((5, 4, 3, 2)))
        self.proj = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x):
        z = jnp.fft.rfft2(x, axes=(1, 2), norm="ortho")
        z = z * (self.filter[..., 0] + 1j * self.filter[..., 1])
        y = jnp.fft.irfft2(z, s=x.shape[1:3], axes=(1, 2), norm="ortho")
        return x + self.proj(y), jnp.abs(z)
