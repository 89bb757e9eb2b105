"""Sources that draw, their ports by hand, and ports that draw something else.

Bodies are those of `forward(self, x)` in train mode, where `key()` gives a new key on the JAX side.
A wrong port either draws differently (`draws_differ`) or gives other numbers (`differs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

TORCH = """
import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {setup}

    def forward(self, x):
        if not self.training:
            return x * 2
        {body}
"""

JAX = """
import math
import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.deterministic = False
        self.rngs = rngs
        {setup}

    def __call__(self, x):
        if self.deterministic:
            return x * 2
        key = self.rngs.noise
        {body}
"""

DRAWS_DIFFER, DIFFERS = "draws_differ", "differs"


@dataclass(frozen=True)
class Case:
    """A source, its right ports, and wrong ones with what they are found by."""

    source: str
    right: list[str]
    wrong: dict[str, str] = field(default_factory=dict)
    setup: str = "pass"
    jax_setup: str = "pass"
    shape: tuple[int, ...] = (4, 6)
    map: list[tuple[str, str, list[dict]]] = field(default_factory=list)

    def torch_text(self) -> str:
        return TORCH.format(setup=_block(self.setup), body=_block(self.source))

    def jax_text(self, body: str) -> str:
        return JAX.format(setup=_block(self.jax_setup), body=_block(body))

    def weights(self) -> dict:
        params = [{"to": to, "from": [source], "ops": ops} for to, source, ops in self.map]
        return {"format": "ferry.weights/1", "params": params, "ignored": []}


def _block(text: str) -> str:
    return "\n        ".join(text.splitlines())


def _keep(shape: str, keep: str = "0.75", scale: str = "0.75") -> str:
    return f"return jnp.where(jax.random.bernoulli(key(), {keep}, {shape}), x / {scale}, 0)"


TWICE = "m = jax.random.bernoulli(key(), 0.75, x.shape)\n"
ALPHA = (
    "a = 1.7580993408473766\n"
    "s = 1 / math.sqrt((a**2 * 0.25 + 1) * 0.75)\n"
    "k = jax.random.bernoulli(key(), {keep}, {shape})\n"
    "return jnp.where(k, x, -a) * s + s * a * 0.25"
)
ATTENTION = (
    "w = jax.nn.softmax(x @ x.mT / 2, -1)\n"
    "k = jax.random.bernoulli(key(), {keep}, w.shape)\n"
    "return jnp.where(k, w / 0.75, 0) @ x"
)
PATHS = "k = jax.random.bernoulli(key(), {keep}, (x.shape[0], 1))\nreturn x + x * k / 0.75"
TOP = "g = jax.random.gumbel(key(), x.shape)\nreturn lax.top_k({logits} + g, {k})[1] * 1.0"
WEIGHTS = "w = torch.softmax(x, -1)\n"
GRU = "self.rnn = nn.GRU(6, 4, num_layers=2, dropout=0.25)"
GATES = (
    "def layer(xs, i):\n"
    "    h, ys = jnp.zeros((xs.shape[1], 4), xs.dtype), []\n"
    "    for x in xs:\n"
    "        gi = x @ self.wi[i][...].T + self.bi[i][...]\n"
    "        gh = h @ self.wh[i][...].T + self.bh[i][...]\n"
    "        r = jax.nn.sigmoid(gi[:, :4] + gh[:, :4])\n"
    "        z = jax.nn.sigmoid(gi[:, 4:8] + gh[:, 4:8])\n"
    "        n = jnp.tanh(gi[:, 8:] + r * gh[:, 8:])\n"
    "        h = (1 - z) * n + z * h\n"
    "        ys.append(h)\n"
    "    return jnp.stack(ys)\n"
    "y = layer(x, 0)\n"
    "k = jax.random.bernoulli(key(), {keep}, {shape})\n"
    "return layer(jnp.where(k, y / 0.75, 0), 1)"
)
GRU_PARTS = (
    ("wi", "weight_ih", "(12, 6 - 2 * i)"),
    ("wh", "weight_hh", "(12, 4)"),
    ("bi", "bias_ih", "12"),
    ("bh", "bias_hh", "12"),
)

CASES: dict[str, Case] = {
    "dropout": Case(
        "return F.dropout(x, 0.25)",
        [
            _keep("x.shape"),
            "d = nnx.Dropout(0.25, deterministic=False, rngs=self.rngs)\nreturn d(x)",
            _keep("x.shape", "jnp.full(x.shape, 0.75)"),
        ],
        {
            _keep("x.shape", "0.25"): DRAWS_DIFFER,
            _keep("x.shape", "jnp.asarray(0.7)"): DIFFERS,
            _keep("x.shape", "jnp.linspace(0.7, 0.75, 6)"): DIFFERS,
            _keep("x.shape", "0.75", "1"): DIFFERS,
            _keep("(x.shape[0], 1)"): DRAWS_DIFFER,
            "return x * jax.random.uniform(key(), x.shape)": DRAWS_DIFFER,
            TWICE + _keep("x.shape"): DRAWS_DIFFER,
            "return x": DRAWS_DIFFER,
        },
    ),
    "nothing": Case("return x * 3", ["return x * 3"]),
    "dropout1d": Case(
        "return F.dropout1d(x, 0.25)",
        [_keep("(*x.shape[:2], 1)")],
        {_keep("x.shape"): DRAWS_DIFFER, _keep("(*x.shape[:2], 1)", "0.5"): DRAWS_DIFFER},
        shape=(4, 3, 5),
    ),
    "dropout2d": Case(
        "return self.drop(x)",
        [_keep("(*x.shape[:2], 1, 1)")],
        {_keep("(x.shape[0], 1, 1, x.shape[3])"): DRAWS_DIFFER},
        setup="self.drop = nn.Dropout2d(0.25)",
        shape=(4, 3, 5, 3),
    ),
    "dropout3d": Case(
        "return self.drop(x)",
        [_keep("(*x.shape[:2], 1, 1, 1)")],
        {_keep("(*x.shape[:2], 1, 1, 1)", "0.8"): DRAWS_DIFFER},
        setup="self.drop = nn.Dropout3d(0.25)",
        shape=(4, 3, 2, 5, 3),
    ),
    "alpha_dropout": Case(
        "return F.alpha_dropout(x, 0.25, True)",
        [ALPHA.format(keep=0.75, shape="x.shape")],
        {
            ALPHA.format(keep=0.5, shape="x.shape"): DRAWS_DIFFER,
            _keep("x.shape"): DIFFERS,
        },
    ),
    "feature_alpha_dropout": Case(
        "return self.drop(x)",
        [ALPHA.format(keep=0.75, shape="(*x.shape[:2], 1)")],
        {ALPHA.format(keep=0.75, shape="x.shape"): DRAWS_DIFFER},
        setup="self.drop = nn.FeatureAlphaDropout(0.25)",
        shape=(4, 3, 5),
    ),
    "rand_then_randn": Case(
        "return x * torch.rand(6) + torch.randn(4, 1)[:1]",
        ["return x * jax.random.uniform(key(), (6,)) + jax.random.normal(key(), (4, 1))[:1]"],
        {
            "n = jax.random.normal(key(), (4, 1))\n"
            "return x * jax.random.uniform(key(), (6,)) + n[:1]": DRAWS_DIFFER,
            "return x * jax.random.uniform(key(), (6,), minval=-1) "
            "+ jax.random.normal(key(), (4, 1))[:1]": DIFFERS,
            "return x * jax.random.uniform(key(), (6,)) "
            "+ 2 * jax.random.normal(key(), (4, 1))[:1]": DIFFERS,
        },
    ),
    "in_place": Case(
        "return x * torch.empty(6).uniform_(-1, 3) + torch.empty(6).normal_(2, 3)",
        [
            "u = jax.random.uniform(key(), (6,), minval=-1, maxval=3)\n"
            "return x * u + 2 + 3 * jax.random.normal(key(), (6,))",
            "u = jax.random.uniform(key(), (6,)) * 4 - 1\n"
            "return x * u + 2 + 3 * jax.random.normal(key(), (6,))",
        ],
        {
            "u = jax.random.uniform(key(), (6,), minval=-1, maxval=3)\n"
            "return x * u + 3 + 2 * jax.random.normal(key(), (6,))": DIFFERS,
        },
    ),
    "normal_of_tensors": Case(
        "return torch.normal(x, x.abs() + 1)",
        ["return x + (jnp.abs(x) + 1) * jax.random.normal(key(), x.shape)"],
        {"return x + jnp.abs(x) * jax.random.normal(key(), x.shape)": DIFFERS},
    ),
    "randint": Case(
        "return x * torch.randint(1, 9, (6,))",
        ["return x * jax.random.randint(key(), (6,), 1, 9)"],
        {
            "return x * jax.random.randint(key(), (6,), 0, 9)": DRAWS_DIFFER,
            "return x * jax.random.randint(key(), (6,), 1, jnp.asarray(8))": DIFFERS,
            "return x * jax.random.randint(key(), (1, 6), 1, 9)": DRAWS_DIFFER,
        },
    ),
    "bernoulli_of_tensor": Case(
        "return x * torch.bernoulli(torch.sigmoid(x))",
        ["return x * jax.random.bernoulli(key(), jax.nn.sigmoid(x))"],
        {
            "return x * jax.random.bernoulli(key(), 1 - jax.nn.sigmoid(x))": DIFFERS,
            "return x * jax.random.bernoulli(key(), 0.5, x.shape)": DIFFERS,
        },
    ),
    "bernoulli_of_equal_numbers": Case(
        "return x * torch.bernoulli(torch.full((6,), 0.25))",
        [
            "return x * jax.random.bernoulli(key(), 0.25, (6,))",
            "return x * jax.random.bernoulli(key(), jnp.full((6,), 0.25))",
        ],
        {"return x * jax.random.bernoulli(key(), 0.75, (6,))": DRAWS_DIFFER},
    ),
    "exponential": Case(
        "return x * torch.empty(6).exponential_(2.0)",
        ["return x * jax.random.exponential(key(), (6,)) / 2"],
        {
            "return x * jax.random.exponential(key(), (6,)) * 2": DIFFERS,
            "return x * jax.random.exponential(key(), (4, 6)) / 2": DRAWS_DIFFER,
        },
    ),
    "gumbel_softmax": Case(
        "return F.gumbel_softmax(x, tau=0.5)",
        [
            "return jax.nn.softmax((x + jax.random.gumbel(key(), x.shape)) / 0.5)",
            "e = jax.random.exponential(key(), x.shape)\n"
            "return jax.nn.softmax((x - jnp.log(e)) / 0.5)",
        ],
        {
            "return jax.nn.softmax(x + jax.random.gumbel(key(), x.shape))": DIFFERS,
            "return jax.nn.softmax((x + jax.random.normal(key(), x.shape)) / 0.5)": DRAWS_DIFFER,
        },
    ),
    "randperm": Case(
        "return x[:, torch.randperm(6)]",
        [
            "return jax.random.permutation(key(), x, axis=1)",
            "return x[:, jax.random.permutation(key(), 6)]",
            "return x[:, jax.random.choice(key(), 6, (6,), replace=False)]",
        ],
        {
            "return jax.random.permutation(key(), x, axis=1, independent=True)": DRAWS_DIFFER,
            "return x[:, jax.random.choice(key(), 6, (6,))]": DRAWS_DIFFER,
            "return x[:, jnp.argsort(jax.random.permutation(key(), 6))]": DIFFERS,
        },
    ),
    "multinomial_once": Case(
        WEIGHTS + "return torch.multinomial(w, 1) * 1.0",
        [
            "return jax.random.categorical(key(), x)[:, None] * 1.0",
            "return jax.random.categorical(key(), jnp.log(jax.nn.softmax(x)))[:, None] * 1.0",
            "return jax.random.categorical(key(), x[:, None], shape=(len(x), 1)) * 1.0",
            TOP.format(logits="x", k=1),
            "g = jax.random.gumbel(key(), x.shape)\nreturn jnp.argmax(x + g, -1)[:, None] * 1.0",
        ],
        {
            "return jax.random.categorical(key(), jax.nn.softmax(x))[:, None] * 1.0": DIFFERS,
            "return jax.random.categorical(key(), x.T)[:, None][:4] * 1.0": DRAWS_DIFFER,
            TOP.format(logits="1.5 * x", k=1): DIFFERS,
        },
    ),
    "multinomial_with_replacement": Case(
        WEIGHTS + "return torch.multinomial(w, 5, replacement=True) * 1.0",
        [
            "return jax.random.categorical(key(), x, shape=(5, len(x))).T * 1.0",
            "return jax.random.categorical(key(), x[:, None], shape=(len(x), 5)) * 1.0",
        ],
        {
            "return jax.random.categorical(key(), x, shape=(5, len(x)), replace=False).T "
            "* 1.0": DRAWS_DIFFER,
            "return jax.random.categorical(key(), 2 * x, shape=(5, len(x))).T * 1.0": DIFFERS,
            "return jax.random.categorical(key(), x, shape=(4, len(x))).T * 1.0": DRAWS_DIFFER,
            TOP.format(logits="x", k=5): DRAWS_DIFFER,
        },
    ),
    "multinomial_without_replacement": Case(
        WEIGHTS + "return torch.multinomial(w, 3) * 1.0",
        [TOP.format(logits="x", k=3), TOP.format(logits="jax.nn.log_softmax(x)", k=3)],
        {
            TOP.format(logits="1.1 * x", k=3): DIFFERS,
            TOP.format(logits="x", k=2): DIFFERS,
            "return jax.random.categorical(key(), x, shape=(3, len(x))).T * 1.0": DRAWS_DIFFER,
        },
    ),
    "multinomial_of_a_vector": Case(
        "return x[:, torch.multinomial(torch.softmax(x[0], -1), 3)]",
        [
            "p = jax.nn.softmax(x[0])\n"
            "return x[:, jax.random.choice(key(), 6, (3,), replace=False, p=p)]",
            "g = jax.random.gumbel(key(), (6,))\nreturn x[:, lax.top_k(x[0] + g, 3)[1]]",
        ],
        {
            "p = jax.nn.softmax(2 * x[0])\n"
            "return x[:, jax.random.choice(key(), 6, (3,), replace=False, p=p)]": DIFFERS,
            "return x[:, jax.random.choice(key(), 6, (3,), replace=False)]": DRAWS_DIFFER,
            "p = jax.nn.softmax(x[0])\n"
            "return x[:, jax.random.choice(key(), 6, (3,), p=p)]": DRAWS_DIFFER,
        },
    ),
    "poisson": Case(
        "return x * torch.poisson(x.exp())",
        ["return x * jax.random.poisson(key(), jnp.exp(x))"],
        {"return x * jax.random.poisson(key(), jnp.exp(-x))": DIFFERS},
    ),
    "rrelu": Case(
        "return F.rrelu(x, 0.1, 0.3, training=True)",
        [
            "s = jax.random.uniform(key(), x.shape, minval=0.1, maxval=0.3)\n"
            "return jnp.where(x >= 0, x, x * s)"
        ],
        {
            "s = jax.random.uniform(key(), x.shape, minval=0.1, maxval=0.4)\n"
            "return jnp.where(x >= 0, x, x * s)": DIFFERS,
            "return jnp.where(x >= 0, x, x * 0.2)": DRAWS_DIFFER,
        },
    ),
    "attention": Case(
        "return F.scaled_dot_product_attention(x, x, x, dropout_p=0.25)",
        [ATTENTION.format(keep=0.75)],
        {
            ATTENTION.format(keep=0.25): DRAWS_DIFFER,
            ATTENTION.format(keep=0.75).replace("/ 0.75", ""): DIFFERS,
            ATTENTION.format(keep=0.75).replace("w.shape", "x.shape"): DRAWS_DIFFER,
        },
        shape=(2, 3, 5, 4),
    ),
    "stochastic_depth": Case(
        "k = x.new_empty(len(x), 1).bernoulli_(0.75)\nreturn x + x * k.div_(0.75)",
        [PATHS.format(keep=0.75)],
        {
            PATHS.format(keep=0.5): DRAWS_DIFFER,
            PATHS.format(keep=0.75).replace("(x.shape[0], 1)", "x.shape"): DRAWS_DIFFER,
        },
    ),
    "recurrent": Case(
        "return self.rnn(x)[0]",
        [GATES.format(keep=0.75, shape="y.shape")],
        {
            GATES.format(keep=0.5, shape="y.shape"): DRAWS_DIFFER,
            GATES.format(keep=0.75, shape="y.shape[1:]"): DRAWS_DIFFER,
        },
        setup=GRU,
        jax_setup="\n".join(
            f"self.{to} = nnx.List([nnx.Param(jnp.zeros({shape})) for i in range(2)])"
            for to, _, shape in GRU_PARTS
        ),
        shape=(5, 3, 6),
        map=[
            (f"{to}.{i}", f"rnn.{source}_l{i}", []) for i in range(2) for to, source, _ in GRU_PARTS
        ],
    ),
}  # fmt: skip
