"""nnx, one Linear for both heads, noise from a stream of the model."""

import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, latent=3, *, rngs):
        self.encoder = nnx.Linear(7, 9, rngs=rngs)
        self.heads = nnx.Linear(9, 2 * latent, rngs=rngs)
        self.decoder1 = nnx.Linear(latent, 9, rngs=rngs)
        self.decoder2 = nnx.Linear(9, 7, rngs=rngs)
        self.rngs = rngs

    def __call__(self, x):
        mu, logvar = jnp.split(self.heads(jnp.tanh(self.encoder(x))), 2, -1)
        noise = jax.random.normal(self.rngs.noise(), mu.shape, mu.dtype)
        z = mu + jnp.exp(logvar / 2) * noise
        kl = 0.5 * (jnp.exp(logvar) + mu**2 - 1 - logvar).sum(-1).mean()
        y = self.decoder2(jnp.tanh(self.decoder1(z)))
        return {"reconstruction": y, "mu": mu, "logvar": logvar, "kl": kl}
