import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.down = nnx.Conv(2, 6, (3, 3), strides=2, padding=1, rngs=rngs)
        self.deep = nnx.Conv(
            6, 6, (3, 3), padding=2, kernel_dilation=2, feature_group_count=3, rngs=rngs
        )
        self.up = nnx.ConvTranspose(
            6, 4, (3, 3), strides=2, padding=((1, 2), (1, 2)), transpose_kernel=True, rngs=rngs
        )
        # of stride 1, so it is a convolution with the kernel flipped by the map
        self.last = nnx.Conv(
            4, 4, (3, 3), padding=((1, 1), (1, 1)), feature_group_count=2, rngs=rngs
        )

    def __call__(self, x):
        x = jnp.moveaxis(x, 1, -1)
        z = jax.nn.relu(self.deep(jax.nn.relu(self.down(x))))
        y = jax.nn.sigmoid(self.last(jax.nn.relu(self.up(z))))
        return jnp.moveaxis(y, -1, 1), jnp.moveaxis(z, -1, 1)
