"""The two-layer LSTM, written by hand."""

import jax
from flax import nnx


class Tagger(nnx.Module):
    def __init__(
        self, vocabulary: int = 1000, width: int = 64, hidden: int = 128, *, rngs: nnx.Rngs
    ):
        self.tokens = nnx.Embed(vocabulary, width, rngs=rngs)
        self.layer0 = nnx.RNN(nnx.OptimizedLSTMCell(width, hidden, rngs=rngs), rngs=rngs)
        self.layer1 = nnx.RNN(nnx.OptimizedLSTMCell(hidden, hidden, rngs=rngs), rngs=rngs)
        self.head = nnx.Linear(hidden, 5, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.layer1(self.layer0(self.tokens(tokens)))
        return self.head(x[:, -1])
