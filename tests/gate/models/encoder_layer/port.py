import jax
import jax.numpy as jnp
from flax import nnx


def attention(query, key, value, mask=None, **options):
    """Attention whose mask is added to the scores, as torch takes a float mask."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    weights = jax.nn.softmax(scores + mask, axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.attn = nnx.MultiHeadAttention(3, 12, decode=False, attention_fn=attention, rngs=rngs)
        self.linear1 = nnx.Linear(12, 20, rngs=rngs)
        self.linear2 = nnx.Linear(20, 12, rngs=rngs)
        self.norm1 = nnx.LayerNorm(12, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(12, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(self, x, mask):
        x = self.norm1(x + self.attn(x, mask=mask))
        return self.norm2(x + self.linear2(jax.nn.relu(self.linear1(x))))
