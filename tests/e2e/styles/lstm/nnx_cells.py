"""nnx.LSTMCell and nnx.RNN: a kernel per gate, one bias for the two of torch's."""

import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.embedding = nnx.Embed(11, 5, rngs=rngs)
        self.layers = nnx.List([nnx.LSTMCell(5, 5, rngs=rngs) for _ in range(2)])
        self.head = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, tokens):
        x, carries = self.embedding(tokens), []
        for cell in self.layers:
            carry = (jnp.zeros((x.shape[0], 5), x.dtype),) * 2
            carry, x = nnx.RNN(cell, return_carry=True)(x, initial_carry=carry)
            carries.append(carry)
        hidden, cells = (
            jnp.stack(part) for part in zip(*((h, c) for c, h in carries), strict=True)
        )
        return {"logits": self.head(x), "hidden": hidden, "cell": cells}
