import jax
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.fc1 = nnx.Linear(7, 12, rngs=rngs)
        self.fc2 = nnx.Linear(12, 12, rngs=rngs)
        self.fc3 = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.gelu(self.fc1(x), approximate=False)
        x = x + jax.nn.leaky_relu(self.fc2(x), negative_slope=0.01)
        return jax.nn.log_softmax(self.fc3(x), axis=1)
