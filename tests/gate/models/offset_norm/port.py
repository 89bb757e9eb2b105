import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(10, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.fc = nnx.Linear(10, 4, rngs=rngs)

    def __call__(self, x):
        y = self.fc(self.norm(x))
        spread = x.std(axis=-1, ddof=1)
        total = jax.nn.logsumexp(x, axis=-1)
        return y, spread, total, jnp.log1p(jnp.exp(-y * y))
