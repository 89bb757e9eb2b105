import jax
import jax.numpy as jnp
from flax import nnx


def layer_norm(d, rngs):
    return nnx.LayerNorm(d, epsilon=1e-5, use_fast_variance=False, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, d, heads, *, rngs: nnx.Rngs):
        self.ln_1 = layer_norm(d, rngs)
        self.c_attn = nnx.Linear(d, 3 * d, rngs=rngs)
        self.c_proj = nnx.Linear(d, d, rngs=rngs)
        self.ln_2 = layer_norm(d, rngs)
        self.fc = nnx.Linear(d, 4 * d, rngs=rngs)
        self.proj = nnx.Linear(4 * d, d, rngs=rngs)
        self.heads = heads

    def attend(self, x):
        b, t, d = x.shape
        q, k, v = (
            z.reshape(b, t, self.heads, -1).swapaxes(1, 2)
            for z in jnp.split(self.c_attn(x), 3, axis=2)
        )
        scores = (q @ k.swapaxes(-2, -1)) / k.shape[-1] ** 0.5
        later = jnp.triu(jnp.ones((t, t), bool), k=1)
        weights = jax.nn.softmax(jnp.where(later, -jnp.inf, scores), axis=-1)
        return self.c_proj((weights @ v).swapaxes(1, 2).reshape(b, t, d))

    def __call__(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.proj(jax.nn.gelu(self.fc(self.ln_2(x)), approximate=True))


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.wte = nnx.Embed(17, 8, rngs=rngs)
        self.wpe = nnx.Embed(10, 8, rngs=rngs)
        self.h = nnx.List(Block(8, 2, rngs=rngs) for _ in range(2))
        self.ln_f = layer_norm(8, rngs)

    def __call__(self, idx):
        x = self.wte(idx) + self.wpe(jnp.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        return self.wte.attend(self.ln_f(x))
