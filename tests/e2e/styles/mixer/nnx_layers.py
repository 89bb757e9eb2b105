"""nnx; every matrix is square, so only its layers tell the layout."""

from flax import nnx


class MLP(nnx.Module):
    def __init__(self, size, *, rngs):
        self.up = nnx.Linear(size, size, rngs=rngs)
        self.down = nnx.Linear(size, size, rngs=rngs)

    def __call__(self, x):
        return self.down(nnx.silu(self.up(x)))


class Mixer(nnx.Module):
    def __init__(self, size, *, rngs):
        norm = {"epsilon": 1e-5, "use_fast_variance": False, "rngs": rngs}
        self.norm1 = nnx.LayerNorm(size, **norm)
        self.tokens = MLP(size, rngs=rngs)
        self.norm2 = nnx.LayerNorm(size, **norm)
        self.channels = MLP(size, rngs=rngs)

    def __call__(self, x):
        x = x + self.tokens(self.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.channels(self.norm2(x))


class Model(nnx.Module):
    def __init__(self, *, rngs):
        self.blocks = nnx.List([Mixer(5, rngs=rngs) for _ in range(2)])
        self.head = nnx.Linear(5, 5, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))
