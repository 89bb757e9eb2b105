"""Functions; the blocks stacked and scanned, every matrix as (in, out), q, k and v by heads."""

import jax
import jax.numpy as jnp


def init():
    return {
        "tokens": jnp.zeros((13, 8)),
        "positions": jnp.zeros((10, 8)),
        "blocks": {
            "ln1": {"scale": jnp.ones((2, 8)), "bias": jnp.zeros((2, 8))},
            "qkv": {"w": jnp.zeros((2, 8, 3, 2, 4)), "b": jnp.zeros((2, 3, 2, 4))},
            "proj": {"w": jnp.zeros((2, 8, 8)), "b": jnp.zeros((2, 8))},
            "ln2": {"scale": jnp.ones((2, 8)), "bias": jnp.zeros((2, 8))},
            "gate_up": jnp.zeros((2, 8, 24)),
            "down": jnp.zeros((2, 12, 8)),
        },
        "ln_f": {"scale": jnp.ones(8), "bias": jnp.zeros(8)},
    }


def layer_norm(p, x):
    x = x - x.mean(-1, keepdims=True)
    return p["scale"] * x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) + p["bias"]


def block(x, p):
    qkv = jnp.einsum("nte,eghd->gnhtd", layer_norm(p["ln1"], x), p["qkv"]["w"])
    q, k, v = qkv + p["qkv"]["b"][:, None, :, None]
    scores = q @ k.swapaxes(-1, -2) / 2
    causal = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    y = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), -1) @ v
    y = y.swapaxes(1, 2).reshape(x.shape)
    x = x + y @ p["proj"]["w"] + p["proj"]["b"]
    gate, up = jnp.split(layer_norm(p["ln2"], x) @ p["gate_up"], 2, -1)
    return x + (jax.nn.silu(gate) * up) @ p["down"], None


def forward(params, tokens):
    x = params["tokens"][tokens] + params["positions"][: tokens.shape[1]]
    x, _ = jax.lax.scan(block, x, params["blocks"])
    return layer_norm(params["ln_f"], x) @ params["tokens"].T
