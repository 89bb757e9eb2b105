import jax
import jax.numpy as jnp
from flax import nnx


def rotate_half(x):
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([-b, a], axis=-1)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.q_proj = nnx.Linear(16, 16, use_bias=False, rngs=rngs)
        self.k_proj = nnx.Linear(16, 8, use_bias=False, rngs=rngs)
        self.v_proj = nnx.Linear(16, 8, use_bias=False, rngs=rngs)
        self.o_proj = nnx.Linear(16, 16, use_bias=False, rngs=rngs)

    def __call__(self, x):
        b, t, _ = x.shape
        q = self.q_proj(x).reshape(b, t, 4, 4).swapaxes(1, 2)
        k = self.k_proj(x).reshape(b, t, 2, 4).swapaxes(1, 2)
        v = self.v_proj(x).reshape(b, t, 2, 4).swapaxes(1, 2)
        freqs = 1.0 / 100.0 ** (jnp.arange(0, 4, 2, dtype=x.dtype) / 4)
        angles = jnp.arange(t, dtype=x.dtype)[:, None] * freqs
        angles = jnp.concatenate([angles, angles], axis=-1)
        q = q * jnp.cos(angles) + rotate_half(q) * jnp.sin(angles)
        k = k * jnp.cos(angles) + rotate_half(k) * jnp.sin(angles)
        k = jnp.repeat(k, 2, axis=1)
        v = jnp.repeat(v, 2, axis=1)
        scores = q @ k.swapaxes(-1, -2) / 2.0
        causal = jnp.tril(jnp.ones((t, t), bool))
        weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
        return self.o_proj((weights @ v).swapaxes(1, 2).reshape(b, t, -1))
