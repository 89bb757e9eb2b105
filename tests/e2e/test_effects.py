"""What a source writes into its arguments: compared where it can be, and said where it is not."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ferryd import ROOT, Daemon

TORCH = "import torch\nfrom torch import nn\n\n\n"
JAX = "import jax\nimport jax.numpy as jnp\nfrom flax import nnx\n\n\n"


@dataclass(frozen=True)
class Effect:
    """A source that writes into its arguments, its inputs, and ports by the verdict they must get."""

    source: str
    inputs: str
    ports: dict[str, tuple[str, ...]] = field(default_factory=dict)


EFFECTS = {
    # the mapping and the list are written into on both sides
    "containers": Effect(
        "def Net(x, cache, seen):\n"
        "    cache['last'] = x.mean(0)\n"
        "    cache['kept'].mul_(2)\n"
        "    seen.append(x.sum())\n"
        "    return x * 3\n",
        "(torch.randn(4, 3), {'kept': torch.randn(3)}, [torch.randn(())])",
        {
            "equal": (
                "def Net(x, cache, seen):\n"
                "    cache['last'] = x.mean(0)\n"
                "    cache['kept'] = cache['kept'] * 2\n"
                "    seen.append(x.sum())\n"
                "    return x * 3\n",
            ),
            "differs": (
                "def Net(x, cache, seen):\n    return x * 3\n",
                "def Net(x, cache, seen):\n"
                "    cache['last'] = x.mean(0)\n"
                "    seen.append(x.sum())\n"
                "    return x * 3\n",
                "def Net(x, cache, seen):\n"
                "    cache['last'] = x.mean(0)\n"
                "    cache['kept'] = cache['kept'] * 2\n"
                "    return x * 3\n",
            ),
        },
    ),
    # what is returned is compared as the output
    "returned": Effect(
        "def Net(x, w):\n    return x.mul_(w)\n",
        "(torch.randn(4, 3), torch.randn(3))",
        {
            "equal": ("def Net(x, w):\n    return x * w\n",),
            "differs": ("def Net(x, w):\n    return x + w\n",),
        },
    ),
    "declared": Effect(
        "def Net(x, w):\n    y = x.sum(-1)\n    x.mul_(w)\n    return y\n",
        "(torch.randn(4, 3), torch.randn(3))",
        {
            "equal": (
                "def Net(x, w):\n    return x.sum(-1), x * w\n\n\n"
                "Net.updated_arguments = ('x',)\n",
            ),
            "equal_under_assumptions": ("def Net(x, w):\n    return x.sum(-1)\n",),
            "differs": (
                "def Net(x, w):\n    return x.sum(-1), x + w\n\n\n"
                "Net.updated_arguments = ('x',)\n",
                "def Net(x, w):\n    return x.sum(-1), x * w\n",
                "def Net(x, w):\n    return x.sum(-1)\n\n\nNet.updated_arguments = ('x',)\n",
            ),
        },
    ),
    # nothing is returned: the port returns what is updated
    "alone": Effect(
        "def Net(x, y, by):\n    x.add_(by)\n    y.sub_(by)\n",
        "(torch.randn(4, 3), torch.randn(4, 3), torch.randn(3))",
        {
            "equal": ("def Net(x, y, by):\n    return x + by, y - by\n",),
            "differs": (
                "def Net(x, y, by):\n    return x + by, y\n",
                "def Net(x, y, by):\n    return x + by\n",
            ),
        },
    ),
    "class": Effect(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(3, 2)\n\n"
        "    def forward(self, x):\n"
        "        x += 1\n"
        "        return self.fc(x)\n",
        "(torch.randn(4, 3),)",
        {
            "equal": (
                "class Net(nnx.Module):\n"
                "    updated_arguments = ('x',)\n\n"
                "    def __init__(self, *, rngs):\n"
                "        self.fc = nnx.Linear(3, 2, rngs=rngs)\n\n"
                "    def __call__(self, x):\n"
                "        x = x + 1\n"
                "        return self.fc(x), x\n",
            ),
            "equal_under_assumptions": (
                "class Net(nnx.Module):\n"
                "    def __init__(self, *, rngs):\n"
                "        self.fc = nnx.Linear(3, 2, rngs=rngs)\n\n"
                "    def __call__(self, x):\n"
                "        return self.fc(x + 1)\n",
            ),
            "differs": (
                "class Net(nnx.Module):\n"
                "    updated_arguments = ('x',)\n\n"
                "    def __init__(self, *, rngs):\n"
                "        self.fc = nnx.Linear(3, 2, rngs=rngs)\n\n"
                "    def __call__(self, x):\n"
                "        return self.fc(x + 1), x\n",
            ),
        },
    ),
}  # fmt: skip

PORTS = [
    pytest.param(effect, verdict, port, id=f"{name}-{verdict}-{number}")
    for name, effect in EFFECTS.items()
    for verdict, ports in effect.ports.items()
    for number, port in enumerate(ports)
]


def verified(daemon: Daemon, effect: Effect, port: str) -> dict[str, Any]:
    """The finished job of a port."""
    job = daemon.submit(
        TORCH + effect.source,
        entry="model:Net",
        kind="verify",
        inputs_expr=effect.inputs,
        candidate={"files": [{"path": "model.py", "content": JAX + port}]},
    )
    return daemon.wait(job["id"])


@pytest.mark.parametrize(("effect", "verdict", "port"), PORTS)
def test_effects(daemon: Daemon, effect: Effect, verdict: str, port: str) -> None:
    result = verified(daemon, effect, port)["result"]
    assert result["verdict"] == verdict, (result["first_difference"], result["error"])
    if verdict != "differs":
        codes = [assumption["code"] for assumption in result["assumptions"]]
        assert codes == ([] if verdict == "equal" else ["argument_not_updated"])


@pytest.mark.parametrize("name", ["containers", "declared", "class"])
def test_the_bundle_of_such_a_port_passes(daemon: Daemon, name: str, tmp_path: Path) -> None:
    """Its test makes the arguments anew and takes the output out of what is returned."""
    effect = EFFECTS[name]
    job = verified(daemon, effect, effect.ports["equal"][0])
    with tarfile.open(fileobj=io.BytesIO(daemon.get(job["links"]["bundle"]).body)) as tar:
        tar.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    python = os.environ.get("FERRY_JAX_PY", str(ROOT / "build/envs/jax/bin/python"))
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
