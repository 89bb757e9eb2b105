"""Inputs and outputs of any nesting and type, for functions and classes; each with a wrong port."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from ferryd import Daemon

TORCH = """\
from collections import namedtuple
from dataclasses import dataclass
from typing import Any
import torch
from torch import nn

"""
JAX = """\
from collections import namedtuple
from dataclasses import dataclass
from typing import Any
import jax
import jax.numpy as jnp
from flax import nnx

"""
PAIR = 'Pair = namedtuple("Pair", "first second")\n\n\n'
STATE = "@dataclass\nclass State:\n    hidden: Any\n    steps: int\n\n\n"


@dataclass(frozen=True)
class Tree:
    """A source and a port with their inputs; `wrong` is what makes the port wrong, as old and new."""

    source: str
    port: str
    inputs: str
    wrong: tuple[str, str]


def function(torch_body: str, jax_body: str, arguments: str) -> tuple[str, str]:
    head = f"def Net({arguments}):\n    "
    return head + torch_body + "\n", head + jax_body + "\n"


def module(fields: tuple[str, str], body: tuple[str, str], arguments: str) -> tuple[str, str]:
    """A class on both sides: lines of its constructor and of its call."""
    source = (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        {fields[0]}\n\n    def forward(self, {arguments}):\n        {body[0]}\n"
    )
    port = (
        "class Buffer(nnx.Variable):\n    pass\n\n\n"
        "class Net(nnx.Module):\n    def __init__(self, *, rngs):\n"
        f"        {fields[1]}\n\n    def __call__(self, {arguments}):\n        {body[1]}\n"
    )
    return source, port


def both(body: str, arguments: str, before: str = "") -> tuple[str, str]:
    """The same text on both sides."""
    source, port = function(body, body, arguments)
    return before + source, before + port


WEIGHT = (
    "self.w = nn.Parameter(torch.randn(3))",
    "self.w = nnx.Param(jnp.zeros(3))",
)

TREES = {
    "tuple": Tree(*both("return x + y[0], (y[1][0] * 2, x)", "x, y"),
                  "(torch.randn(4, 3), (torch.randn(3), (torch.randn(3),)))",
                  ("* 2, x)", "* 2, y[0])")),
    "list": Tree(*both("return [x * s for s in y] + [y[-1:]]", "x, y"),
                 "(torch.randn(4, 3), [torch.randn(3), torch.randn(4, 1)])",
                 ("x * s", "x + s")),
    "dict": Tree(*both("return {'b': x * d['w']['s'], 'a': {'n': d['k'], 'm': x.mean()}}", "x, d"),
                 "(torch.randn(4, 3), {'w': {'s': torch.randn(3)}, 'k': 2})",
                 ("d['k']", "d['k'] + 1")),
    "numbered_dict": Tree(*both("return {0: x * d[3], 1: d[7]}", "x, d"),
                          "(torch.randn(4, 3), {3: torch.randn(3), 7: torch.randn(2)})",
                          ("x * d[3]", "x - d[3]")),
    "named_tuple": Tree(*both("return Pair(p.second * x, p.first)", "x, p", PAIR),
                        "(torch.randn(4, 3), __import__('model').Pair(torch.randn(2), torch.randn(3)))",
                        ("p.second * x, p.first", "p.second * x, p.first * 2")),
    "unknown_named_tuple": Tree(PAIR + both("return p.second * x", "x, p")[0],
                                both("return p.second * x", "x, p")[1],
                                "(torch.randn(4, 3), __import__('model').Pair(torch.randn(2), torch.randn(3)))",
                                ("p.second", "p[0][0]")),
    "dataclass": Tree(*both("return State(s.hidden * x, s.steps + 1)", "x, s", STATE),
                      "(torch.randn(4, 3), __import__('model').State(torch.randn(3), 4))",
                      ("s.steps + 1", "s.steps + 2")),
    "unknown_dataclass": Tree(STATE + both("return s.hidden * x * s.steps", "x, s")[0],
                              both("return s.hidden * x * s.steps", "x, s")[1],
                              "(torch.randn(4, 3), __import__('model').State(torch.randn(3), 4))",
                              ("* s.steps", "")),
    "none": Tree(*both("return (x * 2 if m is None else x * m), m, {'k': None}", "x, m"),
                 "(torch.randn(4, 3), None)", ("m, {", "0, {")),
    "number": Tree(*both("return x * a + n, a / 2, n + 1", "x, a, n"),
                   "(torch.randn(4, 3), 0.5, 3)", ("a / 2", "a / 3")),
    "string": Tree(*both("return (x.sum(0) if mode == 'sum' else x.mean(0)), mode + '!'", "x, mode"),
                   "(torch.randn(4, 3), 'sum')", ("mode + '!'", "mode")),
    "boolean": Tree(*both("return (x if on else -x), not on", "x, on"),
                    "(torch.randn(4, 3), True)", ("not on", "on")),
    "mask": Tree(*function("return torch.where(m, x, -x), ~m", "return jnp.where(m, x, -x), ~m", "x, m"),
                 "(torch.randn(4, 3), torch.rand(4, 3) > 0.5)", ("~m", "m")),
    "integers": Tree(*both("return x[i], i * 2, i.sum()", "x, i"),
                     "(torch.randn(4, 3), torch.tensor([0, 2, 1]))", ("i * 2", "i * 3")),
    "complex": Tree(*function("return z * z.conj() * 2, (z * 1j).real, z.abs()",
                              "return z * z.conj() * 2, (z * 1j).real, jnp.abs(z)", "z"),
                    "(torch.randn(4, 3, dtype=torch.complex64),)", ("z * 1j", "z * -1j")),
    "float16": Tree(*both("return h * 3, h.sum(-1)", "h"),
                    "(torch.randn(4, 3).half(),)", ("h * 3", "h * 3.01")),
    "bfloat16": Tree(*both("return b * 3, {'s': b[0]}", "b"),
                     "(torch.randn(4, 3).bfloat16(),)", ("b * 3", "b * 3.1")),
    "empty": Tree(*function("return torch.cat([x, e]), e.sum(), e", "return jnp.concatenate([x, e]), e.sum(), e",
                            "x, e"),
                  "(torch.randn(4, 3), torch.zeros(0, 3))", ("e.sum(), e", "e.sum(), e.T")),
    "zero_dimensional": Tree(*both("return x * s, s * 2", "x, s"),
                             "(torch.randn(4, 3), torch.tensor(2.5))", ("s * 2", "s * 3")),
    "keywords": Tree(*both("return x * scale + shift['by']", "x, scale, shift"),
                     "{'shift': {'by': torch.randn(3)}, 'x': torch.randn(4, 3), 'scale': torch.randn(3)}",
                     ("+ shift", "- shift")),
    "class": Tree(*module(WEIGHT, ("return Pair({'y': x * self.w, 'n': None}, [p.first, 3])",
                                   "return Pair({'y': x * self.w[...], 'n': None}, [p.first, 3])"), "x, p"),
                  "(torch.randn(4, 3), __import__('model').Pair(torch.randn(2), None))",
                  ("[p.first, 3]", "[p.first, 4]")),
    "class_of_float16": Tree(
        *module(("self.w = nn.Parameter(torch.randn(3).half())",
                 "self.w = nnx.Param(jnp.zeros(3, jnp.float16))"),
                ("return x * self.w.float(), self.w", "return x * self.w[...].astype(jnp.float32), self.w[...]"),
                "x"),
        "(torch.randn(4, 3),)", ("x * self", "x + self")),
    "class_of_bfloat16": Tree(
        *module(("self.w = nn.Parameter(torch.randn(3).bfloat16())",
                 "self.w = nnx.Param(jnp.zeros(3, jnp.bfloat16))"),
                ("return x.bfloat16() * self.w", "return x.astype(jnp.bfloat16) * self.w[...]"), "x"),
        "(torch.randn(4, 3),)", ("* self", "+ self")),
    "complex_weights": Tree(
        *module(("self.w = nn.Parameter(torch.randn(3, dtype=torch.complex64))",
                 "self.w = nnx.Param(jnp.zeros(3, jnp.complex64))"),
                ("return (x * self.w).abs(), x * self.w", "return jnp.abs(x * self.w[...]), x * self.w[...]"), "x"),
        "(torch.randn(4, 3),)", ("jnp.abs(x * self.w[...])", "jnp.abs(x * self.w[...].real)")),
    "complex_gradients": Tree(
        *module(
            (
                "self.w = nn.Parameter(torch.randn(3, dtype=torch.complex64))",
                "self.w = nnx.Param(jnp.zeros(3, jnp.complex64))",
            ),
            ("return (z * self.w).real", "return (z * self.w[...]).real"),
            "z",
        ),
        "(torch.randn(4, 3, dtype=torch.complex64),)",
        ("z * self.w[...]", "z * jax.lax.stop_gradient(self.w[...])"),
    ),
    "complex_buffer": Tree(
        *module(("self.register_buffer('w', torch.randn(3, dtype=torch.complex64))",
                 "self.w = Buffer(jnp.zeros(3, jnp.complex64))"),
                ("return torch.view_as_real(x * self.w)",
                 "y = x * self.w[...]; return jnp.stack([y.real, y.imag], -1)"), "x"),
        "(torch.randn(4, 3, dtype=torch.complex64),)", ("[y.real, y.imag]", "[y.imag, y.real]")),
}  # fmt: skip


def verdict(daemon: Daemon, tree: Tree, port: str, pair: str) -> tuple[str, str]:
    """The verdict, and what else the job says where that is not the expected one."""
    job = daemon.submit(
        TORCH + pair + tree.source,
        entry="model:Net",
        kind="verify",
        inputs_expr=tree.inputs,
        candidate={"files": [{"path": "model.py", "content": JAX + pair + port}]},
    )
    result = daemon.wait(job["id"])["result"]
    return result["verdict"], str((result["first_difference"], result["error"]))


@pytest.mark.parametrize("name", TREES)
def test_tree(daemon: Daemon, name: str) -> None:
    tree = TREES[name]
    pair = PAIR if name == "class" else ""
    found, more = verdict(daemon, tree, tree.port, pair)
    assert found == "equal", more
    assert tree.port.count(tree.wrong[0]) == 1
    found, more = verdict(daemon, tree, tree.port.replace(*tree.wrong), pair)
    assert found == "differs", more
