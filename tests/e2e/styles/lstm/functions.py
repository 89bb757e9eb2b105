"""Functions over a tree in torch's names; each layer keeps both biases and torch's layout."""

import jax
import jax.numpy as jnp


def init():
    layer = {
        "w_ih": jnp.zeros((20, 5)), "w_hh": jnp.zeros((20, 5)),
        "b_ih": jnp.zeros(20), "b_hh": jnp.zeros(20),
    }  # fmt: skip
    head = {"w": jnp.zeros((5, 3)), "b": jnp.zeros(3)}
    return {"embedding": jnp.zeros((11, 5)), "lstm": [layer, layer], "head": head}


def run(layer, x):
    def cell(carry, step):
        h, c = carry
        gates = layer["w_ih"] @ step + layer["b_ih"] + layer["w_hh"] @ h + layer["b_hh"]
        i, f, g, o = gates.reshape(4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros(5, x.dtype)
    (h, c), y = jax.lax.scan(cell, (zero, zero), x)
    return y, h, c


def one(tree, tokens):
    x, hidden, cells = tree["embedding"][tokens], [], []
    for layer in tree["lstm"]:
        x, h, c = run(layer, x)
        hidden.append(h)
        cells.append(c)
    return x @ tree["head"]["w"] + tree["head"]["b"], jnp.stack(hidden), jnp.stack(cells)


def forward(tree, tokens):
    logits, hidden, cells = jax.vmap(one, (None, 0), (0, 1, 1))(tree, tokens)
    return {"logits": logits, "hidden": hidden, "cell": cells}
