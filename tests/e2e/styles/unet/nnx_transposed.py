"""nnx.ConvTranspose with transpose_kernel, which keeps torch's orientation."""

import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.enc = nnx.Conv(2, 4, (3, 3), padding=1, rngs=rngs)
        self.down = nnx.Conv(4, 4, (3, 3), strides=2, padding=1, rngs=rngs)
        self.up = nnx.ConvTranspose(
            4, 4, (2, 2), strides=2, padding="VALID", transpose_kernel=True, rngs=rngs
        )
        self.dec = nnx.Conv(8, 4, (3, 3), padding=1, rngs=rngs)
        self.norm = nnx.InstanceNorm(4, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.out = nnx.Conv(4, 2, (1, 1), rngs=rngs)

    def __call__(self, x):
        a = nnx.relu(self.enc(x.transpose(0, 2, 3, 1)))
        b = nnx.relu(self.down(a))
        y = jnp.concatenate([self.up(b), a], -1)
        return self.out(nnx.relu(self.norm(self.dec(y)))).transpose(0, 3, 1, 2)
