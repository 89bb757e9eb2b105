"""Functions over a tree; the key is an argument that the adapter gives."""

import jax
import jax.numpy as jnp


def dense(into, out):
    return {"kernel": jnp.zeros((into, out)), "bias": jnp.zeros(out)}


def init(latent=3):
    return {
        "encoder": dense(7, 9), "mu": dense(9, latent), "logvar": dense(9, latent),
        "decoder": [dense(latent, 9), dense(9, 7)],
    }  # fmt: skip


def apply(p, x):
    return x @ p["kernel"] + p["bias"]


def forward(params, x, key):
    h = jnp.tanh(apply(params["encoder"], x))
    mu, logvar = apply(params["mu"], h), apply(params["logvar"], h)
    z = mu + jnp.exp(0.5 * logvar) * jax.random.normal(key, mu.shape, mu.dtype)
    first, second = params["decoder"]
    kl = -0.5 * jnp.mean(jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar), -1))
    out = apply(second, jnp.tanh(apply(first, z)))
    return {"reconstruction": out, "mu": mu, "logvar": logvar, "kl": kl}
