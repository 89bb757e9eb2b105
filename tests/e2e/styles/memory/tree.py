"""Functions over a tree whose square matrices have both layouts."""

import jax
import jax.numpy as jnp


def init():
    gate = {
        "wx": jnp.zeros((6, 4)),
        "wh": jnp.zeros((6, 6)),
        "bx": jnp.zeros(6),
        "bh": jnp.zeros(6),
    }
    return {
        "params": {
            "r": gate, "z": gate, "n": gate, "memory": jnp.zeros((5, 6)),
            "read": jnp.zeros((6, 6)), "write": {"w": jnp.zeros((12, 4)), "b": jnp.zeros(4)},
        },
        "constants": {"decay": jnp.zeros(6)},
    }  # fmt: skip


def parts(gate, x, h):
    return gate["wx"] @ x + gate["bx"], gate["wh"] @ h + gate["bh"]


def step(tree, h, x):
    p = tree["params"]
    h = h * tree["constants"]["decay"]
    r = jax.nn.sigmoid(sum(parts(p["r"], x, h)))
    z = jax.nn.sigmoid(sum(parts(p["z"], x, h)))
    from_x, from_h = parts(p["n"], x, h)
    h = z * h + (1 - z) * jnp.tanh(from_x + r * from_h)
    seen = jax.nn.softmax(p["memory"] @ (p["read"] @ h)) @ p["memory"]
    return h, jnp.concatenate([h, seen]) @ p["write"]["w"] + p["write"]["b"]


def one(tree, x, h):
    h, y = jax.lax.scan(lambda h, x: step(tree, h, x), h, x)
    return y, h


def forward(tree, x, state):
    return jax.vmap(one, (None, 0, 0))(tree, x, state)
