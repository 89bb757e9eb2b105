import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.fc1 = nnx.Linear(6, 20, rngs=rngs)
        self.drop1 = nnx.Dropout(0.3, rngs=rngs)
        self.fc2 = nnx.Linear(20, 8, rngs=rngs)
        self.drop2 = nnx.Dropout(0.5, rngs=rngs)
        self.fc3 = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        x = self.drop1(jnp.tanh(self.fc1(x)))
        x = self.drop2(jax.nn.elu(self.fc2(x)))
        return jax.nn.softplus(self.fc3(x))
