"""Ports that draw inside of scan and vmap: decided by distribution, and never by plain `equal`."""

from __future__ import annotations

from typing import Any

import pytest
from ferryd import Daemon

SOURCE = """\
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 4)

    def forward(self, x):  # (batch, time, feature)
        h = x.new_zeros(x.shape[0], 4)
        steps = []
        for t in range(x.shape[1]):
            h = torch.tanh(self.fc(torch.cat([x[:, t], h], -1)))
            h = F.dropout(h, 0.4, self.training)
            steps.append(h)
        return torch.stack(steps, 1)


def get_inputs():
    return [torch.randn(4, 5, 6)]
"""

HEAD = """\
import jax
import jax.numpy as jnp
from flax import nnx


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.fc = nnx.Linear(10, 4, rngs=rngs)
        self.rngs = rngs.fork()
        self.deterministic = False

    def drop(self, h, key):
        if self.deterministic:
            return h
        return jnp.where(jax.random.bernoulli(key, 0.6, h.shape), h / 0.6, 0)

"""

SCAN = (
    HEAD
    + """\
    def __call__(self, x):
        keys = jax.random.split(self.rngs.noise(), x.shape[1])

        def step(h, item):
            x, key = item
            h = self.drop(jnp.tanh(self.fc(jnp.concatenate([x, h], -1))), key)
            return h, h

        h = jnp.zeros((x.shape[0], 4), x.dtype)
        return jnp.moveaxis(jax.lax.scan(step, h, (jnp.moveaxis(x, 1, 0), keys))[1], 0, 1)
"""
)

VMAP = (
    HEAD
    + """\
    def one(self, x, key):
        h, steps = jnp.zeros(4, x.dtype), []
        for row, key in zip(x, jax.random.split(key, len(x))):
            h = self.drop(jnp.tanh(self.fc(jnp.concatenate([row, h], -1))), key)
            steps.append(h)
        return jnp.stack(steps)

    def __call__(self, x):
        return jax.vmap(self.one)(x, jax.random.split(self.rngs.noise(), len(x)))
"""
)

WEIGHTS = {
    "format": "ferry.weights/1",
    "params": [
        {"to": "fc.kernel", "from": ["fc.weight"], "ops": [{"op": "permute", "axes": [1, 0]}]},
        {"to": "fc.bias", "from": ["fc.bias"]},
    ],
}

#: Of the sampled stages only the cheapest.
TRAIN = {"stages": ["train"]}

#: What is wrong, and how the right ports are changed to it.
WRONG = {
    "rate": ("key, 0.6, h.shape), h / 0.6", "key, 0.5, h.shape), h / 0.5"),
    "scale": ("h / 0.6", "h"),
    "swapped": ("h / 0.6, 0)", "0, h / 0.6)"),
    "rows": ("h.shape)", "h.shape[:-1] + (1,))"),
    "shared": ("h.shape)", "h.shape[-1:])"),
    "undropped": ("h / 0.6, 0)", "h, h)"),
    "twice": ("return jnp.where", "h = jnp.where(jax.random.bernoulli(key, 0.9, h.shape), h / 0.9, 0)\n"
              "        return jnp.where"),
}  # fmt: skip


def verify(daemon: Daemon, port: str, **fields: Any) -> dict[str, Any]:
    """The result of a port's job, with the stages in the report's detail."""
    candidate = {
        "entry": "port:Net",
        "files": [{"path": "port.py", "content": port}],
        "weights": WEIGHTS,
    }
    job = daemon.submit(SOURCE, entry="model:Net", kind="verify", candidate=candidate, **fields)
    job = daemon.wait(job["id"])
    report = daemon.get(job["links"]["report"]).json()
    return {**job["result"], "stages": report["result"]["stages"]}


def rows(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in result["stages"]}


@pytest.mark.parametrize("port", [SCAN, VMAP], ids=["scan", "vmap"])
def test_right_port(daemon: Daemon, port: str) -> None:
    result = verify(daemon, port)
    assert result["verdict"] == "equal_under_assumptions", result["first_difference"]
    (assumption,) = [a for a in result["assumptions"] if a["code"] == "draws_by_distribution"]
    assert "512 runs" in assumption["text"] and "9e-07" in assumption["text"]
    sampled = {name for name, row in rows(result).items() if row.get("sampled")}
    assert sampled >= {"train_state", "optimizer"}
    assert rows(result)["train_state"]["tolerance"] < 0.25


#: Within one example a mask of rows or of features is the mask itself.
ALONE = ("rows", "shared")
CASES = [("SCAN", wrong) for wrong in WRONG]
CASES += [("VMAP", wrong) for wrong in WRONG if wrong not in ALONE]


@pytest.mark.parametrize(("name", "wrong"), CASES)
def test_wrong_port(daemon: Daemon, name: str, wrong: str) -> None:
    port = {"SCAN": SCAN, "VMAP": VMAP}[name]
    old, new = WRONG[wrong]
    assert old in port
    result = verify(daemon, port.replace(old, new), contract=TRAIN)
    difference = result["first_difference"]
    assert result["verdict"] == "differs"
    assert difference["stage"] == "train_state"
    assert "distributed differently" in difference["text"]


SHARED_KEYS = {
    "steps": (SCAN, "h = self.drop(jnp.tanh(self.fc(jnp.concatenate([x, h], -1))), key)",
              "h = self.drop(jnp.tanh(self.fc(jnp.concatenate([x, h], -1))), keys[0])"),
    "examples": (VMAP, "jax.vmap(self.one)(x, jax.random.split(self.rngs.noise(), len(x)))",
                 "jax.vmap(self.one, (0, None))(x, self.rngs.noise())"),
}  # fmt: skip


@pytest.mark.parametrize("which", SHARED_KEYS)
def test_one_key_for_all(daemon: Daemon, which: str) -> None:
    """One mask where the source draws several: only how elements go together shows it."""
    port, old, new = SHARED_KEYS[which]
    assert old in port
    result = verify(daemon, port.replace(old, new), contract=TRAIN)
    assert result["verdict"] == "differs"
    assert "distributed differently" in result["first_difference"]["text"]


def test_draws_in_eval_mode_only_by_the_port(daemon: Daemon) -> None:
    result = verify(daemon, SCAN.replace("if self.deterministic:", "if False:"))
    assert (result["verdict"], result["reason"]) == ("differs", "draws_differ")


def test_the_same_twice(daemon: Daemon) -> None:
    """Another job of the same source and port computes the same figures."""
    from ferryd import Daemon as Another

    with Another() as other:
        first, second = (rows(verify(d, SCAN, contract=TRAIN)) for d in (daemon, other))
    assert first["train_state"]["sampled"] == 1
    assert first["train_state"] == second["train_state"]
