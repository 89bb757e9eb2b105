"""What is proven of a model's classes where the whole is refused, differs or is proven."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryd import PROVEN, ROOT, STAGES, Daemon

JAX_PYTHON = os.environ.get("FERRY_JAX_PY", str(ROOT / "build/envs/jax/bin/python"))
SHORT = {"stages": ["forward_f64"], "seeds": 1}

BLOCKS = """\
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        w = (q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5).softmax(-1)
        return self.out((w @ v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, dim, act=nn.GELU):
        super().__init__()
        self.up = nn.Linear(dim, 2 * dim)
        self.act = act()
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return self.down(self.act(self.up(x)))


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim)
        self.mlp = Mlp(dim)

    def forward(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.mlp(x)
"""

GATE = """

class Gate(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x):
        return x * self.weight * torch.nonzero(x > 0).shape[0]
"""

NET = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.gate = Gate(8)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.gate(x)


def get_inputs():
    return [torch.randn(2, 5, 8)]
"""

REFUSED = BLOCKS + GATE + NET
PROVEN_NET = REFUSED.replace(" * torch.nonzero(x > 0).shape[0]", "")
SCALARS = ("verdict", "proven_by", "reason")


def rows(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of the classes by name, in their order."""
    return {row["class"]: row for row in job["result"]["parts"]}


def said(job: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(row[key] for key in SCALARS) for name, row in rows(job).items()}


def run(daemon: Daemon, source: str, contract: Any = SHORT, **fields: Any) -> dict[str, Any]:
    """The finished job."""
    entry = fields.pop("entry", "model:Net")
    return daemon.wait(daemon.submit(source, entry=entry, contract=contract, **fields)["id"], 600)


@pytest.fixture(scope="module")
def refused(daemon: Daemon) -> dict[str, Any]:
    """A model with one block that the engine refuses, under the whole contract."""
    return run(daemon, REFUSED, None)


def test_one_refused_block_leaves_the_others_proven(refused: dict[str, Any]) -> None:
    result = refused["result"]
    assert (refused["state"], result["verdict"], result["reason"]) == (
        "failed",
        "refused",
        "refused",
    )
    assert said(refused) == {
        "Attention": ("equal", "part", None),
        "Mlp": ("equal", "part", None),
        "Gate": ("refused", None, "refused"),
        "Block": ("equal", "part", None),
        "Net": ("refused", None, "refused"),
    }
    found = rows(refused)
    assert [row["instances"] for row in found.values()] == [2, 2, 1, 2, 1]
    assert [found[name]["score"] for name in ("Attention", "Mlp", "Block")] == [len(STAGES)] * 3
    lines = REFUSED.splitlines()
    for name, row in found.items():
        assert row["file"] == "model.py" and lines[row["line"] - 1].startswith(f"class {name}(")
    for name in ("Gate", "Net"):
        assert found[name]["holes"] == ["model.py:Gate.forward"]
        assert found[name]["refusals"] == result["refusals"]


def test_the_hole_is_typed(refused: dict[str, Any]) -> None:
    (hole,) = refused["result"]["holes"]
    tensor = {"kind": "tensor", "dtype": "float32", "shape": [None, None, 8]}
    assert hole["id"] == "model.py:Gate.forward"
    assert hole["inputs"] == [{"name": "x", **tensor}] and hole["outputs"] == [tensor]
    assert hole["text"] == REFUSED.splitlines()[hole["line"] - 1].strip()


def test_the_rest_of_the_candidate_can_be_used(
    daemon: Daemon, refused: dict[str, Any], tmp_path: Path
) -> None:
    attempt = daemon.get(f"/v1/jobs/{refused['id']}/attempts/1").json()
    assert attempt["holes"] == refused["result"]["holes"]
    bundle = daemon.bundle(refused["id"])
    for file in attempt["files"]:
        assert bundle[f"jax/{file['path']}"].decode() == file["content"]
        (tmp_path / file["path"]).write_text(file["content"], encoding="utf-8")
    mapped = {name for entry in attempt["weights"]["params"] for name in entry["from"]}
    assert {"gate.weight", "blocks.1.mlp.up.bias"} <= mapped
    assert "NotImplementedError" in daemon.get(f"/v1/jobs/{refused['id']}/diff").text
    code = (
        "import model, jax.numpy as jnp\nfrom flax import nnx\nx = jnp.ones((2, 5, 8))\n"
        "print(model.Block(8, rngs=nnx.Rngs(0))(x).shape)\n"
        "try:\n    model.Net(rngs=nnx.Rngs(0))(x)\nexcept NotImplementedError as e:\n    print(e)\n"
    )
    env = {"PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu", "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [JAX_PYTHON, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    (refusal,) = refused["result"]["refusals"]
    shape, raised = ran.stdout.splitlines()
    assert shape == "(2, 5, 8)"
    assert f"model.py:{refusal['line']}: {refusal['why']}".startswith(raised)


def test_reports_have_the_table(daemon: Daemon, refused: dict[str, Any]) -> None:
    report = daemon.get(refused["links"]["report"]).json()
    full = {row["class"]: row for row in report["result"]["parts"]}
    assert list(full) == list(rows(refused))
    assert set(report["versions"]) == set(report["confinement"]) == {"torch", "jax"}
    assert full["Mlp"]["init_expr"] == "Mlp(8)"
    assert full["Mlp"]["inputs_expr"] == "[torch.randn((3, 5, 8))]"
    text = daemon.get(refused["links"]["report"], headers={"Accept": "text/markdown"}).text
    assert f"| Mlp | model.py:{full['Mlp']['line']} | 2 | equal | by itself | 14 |  |" in text
    assert "| refused |  |  | needs model.py:Gate.forward |" in text
    assert "`model.py:Gate.forward` (x: float32[?, ?, 8]) → float32[?, ?, 8]" in text


def test_a_row_is_what_a_job_of_its_own_gives(daemon: Daemon, refused: dict[str, Any]) -> None:
    report = daemon.get(refused["links"]["report"]).json()
    (row,) = [row for row in report["result"]["parts"] if row["class"] == "Mlp"]
    expressions = {key: row[key] for key in ("init_expr", "inputs_expr")}
    alone = run(daemon, REFUSED, entry=row["entry"], **expressions)
    assert alone["result"]["verdict"] == "equal_under_assumptions"
    assert {"left_out", "stages_left_out"} >= {a["code"] for a in alone["result"]["assumptions"]}


def test_steps_of_a_class_say_so(daemon: Daemon, refused: dict[str, Any]) -> None:
    events = daemon.get(f"/v1/jobs/{refused['id']}/events?limit=500").json()["events"]
    steps = [e["data"] for e in events if e["type"] == "step.finished"]
    assert [s["function"] for s in steps if "part" not in s] == [
        "inspect",
        "capture",
        "draft",
        "deliver",
    ]
    parts = [s["part"] for s in steps if "part" in s]
    assert list(dict.fromkeys(parts)) == [f"model:{n}" for n in ("Attention", "Mlp", "Block")]
    assert {s["step"] for s in steps if "part" in s} == {"check"}


def test_a_proven_whole_is_the_proof_of_its_classes(daemon: Daemon) -> None:
    unused = "\n\nclass Unused(nn.Module):\n    def forward(self, x):\n        return x\n"
    idle = PROVEN_NET.replace("class Net(", unused.strip() + "\n\n\nclass Net(").replace(
        "        self.gate =", "        self.idle = Unused()\n        self.gate ="
    )
    job = run(daemon, idle)
    assert job["state"] == "succeeded", job["result"]
    whole = ("equal_under_assumptions", "whole", None)
    names = ["Attention", "Mlp", "Gate", "Unused", "Block", "Net"]
    assert said(job) == {n: (None,) * 3 if n == "Unused" else whole for n in names}
    assert rows(job)["Unused"]["why"] == "it was not called"
    assert all(row["holes"] == [] for row in rows(job).values())
    events = daemon.get(f"/v1/jobs/{job['id']}/events?limit=500").json()["events"]
    assert not [e for e in events if "part" in e["data"]]


PORT = """\
import jax
import jax.numpy as jnp
from flax import nnx


class Attention(nnx.Module):
    def __init__(self, dim, heads=2, *, rngs):
        self.heads = heads
        self.qkv = nnx.Linear(dim, 3 * dim, rngs=rngs)
        self.out = nnx.Linear(dim, dim, rngs=rngs)

    def __call__(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).transpose(2, 0, 3, 1, 4)
        w = jax.nn.softmax(q @ k.swapaxes(-1, -2) / (d // self.heads) ** 0.5, -1)
        return self.out((w @ v).swapaxes(1, 2).reshape(b, n, d))


class Mlp(nnx.Module):
    def __init__(self, dim, *, rngs):
        self.up = nnx.Linear(dim, 2 * dim, rngs=rngs)
        self.down = nnx.Linear(2 * dim, dim, rngs=rngs)

    def __call__(self, x):
        return self.down(nnx.gelu(self.up(x), approximate=True))


class Block(nnx.Module):
    def __init__(self, dim, *, rngs):
        self.norm = nnx.LayerNorm(dim, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.attention = Attention(dim, rngs=rngs)
        self.mlp = Mlp(dim, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.mlp(x)


class Scale(nnx.Module):
    def __init__(self, dim, *, rngs):
        self.weight = nnx.Param(jnp.zeros(dim))

    def __call__(self, x):
        return x * self.weight[...]


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.blocks = nnx.List([Block(8, rngs=rngs) for _ in range(2)])
        self.gate = Scale(8, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.gate(x)
"""


def verify(daemon: Daemon, port: str, **candidate: Any) -> dict[str, Any]:
    """The finished job of somebody's port of the model without a refused block."""
    files = {"files": [{"path": "port.py", "content": port}], "entry": "port:Net", **candidate}
    return run(daemon, PROVEN_NET, kind="verify", candidate=files)


def test_one_wrong_block_is_told_from_the_others(daemon: Daemon) -> None:
    job = verify(daemon, PORT)
    assert job["result"]["verdict"] == "differs"
    proven = ("equal_under_assumptions", "part", None)
    wrong = ("differs", None, "differs")
    assert said(job) == {
        "Attention": proven,
        "Mlp": wrong,
        "Gate": (None,) * 3,
        "Block": wrong,
        "Net": wrong,
    }
    found = rows(job)
    assert found["Gate"]["why"] == "the candidate has no class of this name"
    assert found["Mlp"]["first_difference"]["stage"] == "forward_f64"
    assert found["Mlp"]["first_difference"]["max_error"] > 1e-9
    assert found["Net"]["first_difference"] == job["result"]["first_difference"]
    assert [a["code"] for a in found["Attention"]["assumptions"]] == ["stages_left_out"]


def test_a_class_with_another_constructor_is_not_compared(daemon: Daemon) -> None:
    other = PORT.replace(
        "class Mlp(nnx.Module):\n    def __init__(self, dim, *,",
        "class Mlp(nnx.Module):\n    def __init__(self, dim, wide, *,",
    )
    job = verify(daemon, other.replace("Mlp(dim, rngs", "Mlp(dim, 1, rngs"))
    row = rows(job)["Mlp"]
    assert (row["verdict"], row["reason"], row["score"]) == (None, "candidate_error", None)
    assert "wide" in row["why"] and said(job)["Attention"][0] in PROVEN


def test_a_candidate_that_cannot_be_imported_shows_nothing(daemon: Daemon) -> None:
    job = verify(daemon, "import torch\n" + PORT)
    assert job["result"]["verdict"] == "differs"
    others = [row for name, row in rows(job).items() if name != "Net"]
    assert {(row["verdict"], row["why"]) for row in others} == {
        (None, "the candidate can't be imported")
    }


def test_what_a_class_needs_from_elsewhere_is_a_hole_of_its_too(daemon: Daemon) -> None:
    helper = "\n\ndef count(x):\n    return torch.nonzero(x > 0).shape[0]\n"
    calling = REFUSED.replace("torch.nonzero(x > 0).shape[0]", "count(x)")
    job = run(daemon, calling.replace("\n\nclass Attention", helper + "\n\nclass Attention", 1))
    assert [hole["id"] for hole in job["result"]["holes"]] == ["model.py:count"]
    found = rows(job)
    assert {n for n, row in found.items() if row["verdict"] == "refused"} == {"Gate", "Net"}
    assert found["Gate"]["holes"] == ["model.py:count"]
    assert found["Gate"]["refusals"] == job["result"]["refusals"]


IMAGES = """\
import torch
from torch import nn


class Conv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv = nn.Conv2d(a, b, 3)

    def forward(self, x):
        return torch.relu(self.conv(x))


class Head(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, 3)

    def forward(self, x):
        return self.fc(x.mean((2, 3))) * torch.nonzero(x > -1).shape[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = Conv(3, 4)
        self.head = Head(4)

    def forward(self, x):
        return self.head(self.conv(x))


def get_inputs():
    return [torch.randn(2, 3, 8, 7)]
"""


def test_classes_of_a_port_in_another_layout_are_not_compared(daemon: Daemon) -> None:
    job = run(daemon, IMAGES, style="idiomatic")
    refusal = ("refused", None, "refused")
    assert said(job) == {"Conv": (None,) * 3, "Head": refusal, "Net": refusal}
    assert "channels last" in rows(job)["Conv"]["why"]


def test_a_function_has_no_classes(daemon: Daemon) -> None:
    source = "import torch\n\n\ndef f(x):\n    return torch.nonzero(x)\n\n\ndef get_inputs():\n    return [torch.ones(3)]\n"
    job = run(daemon, source, entry="model:f")
    assert job["result"]["verdict"] == "refused" and job["result"]["parts"] == []
    assert [hole["id"] for hole in job["result"]["holes"]] == ["model.py:f"]


# classes that do as they should in the model only
ALONE = "WHOLE = []\n\n\ndef alone():\n    return not WHOLE\n"


def many(n: int, when_alone: str) -> str:
    """A refused model of n classes beside itself, each of which does something when run alone."""
    classes = "".join(
        f"\n\nclass Part{i}(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.fc = nn.Linear(3, 3)\n\n    def forward(self, x):\n        if alone():\n"
        f"            {when_alone}\n        return self.fc(x)\n"
        for i in range(n)
    )
    listed = ", ".join(f"Part{i}()" for i in range(n))
    return (
        f"import time\n\nimport torch\nfrom torch import nn\n\n{ALONE}{classes}\n\nclass Net(nn.Module):\n"
        f"    def __init__(self):\n        super().__init__()\n        WHOLE.append(1)\n"
        f"        self.parts = nn.Sequential({listed})\n\n    def forward(self, x):\n"
        f"        return self.parts(x) * torch.nonzero(x).shape[0]\n\n\n"
        f"def get_inputs():\n    return [torch.randn(2, 3)]\n"
    )


def test_no_more_than_twelve_classes_are_run(daemon: Daemon) -> None:
    job = run(daemon, many(14, 'raise ValueError("by itself")'))
    assert job["result"]["verdict"] == "refused"
    parts = [row for name, row in rows(job).items() if name != "Net"]
    assert [row["reason"] for row in parts] == ["source_error"] * 12 + [None] * 2
    assert {row["verdict"] for row in parts} == {None}
    assert [row["why"] for row in parts[:1] + parts[12:]] == ["ValueError: by itself"] + [
        "too many other classes were run"
    ] * 2


def test_the_budget_of_the_job_bounds_them(daemon: Daemon) -> None:
    job = run(daemon, many(3, "time.sleep(120)"), budget={"seconds": 40})
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("refused", "refused")
    assert job["usage"]["seconds"] < 60
    parts = [row for name, row in rows(job).items() if name != "Net"]
    assert [(row["verdict"], row["reason"]) for row in parts] == [
        (None, "budget"),
        (None, None),
        (None, None),
    ]
    assert [row["why"] for row in parts[1:]] == ["The job's budget is spent"] * 2


@pytest.fixture(scope="module")
def two_runs() -> Iterator[list[str]]:
    """The results of one refused job on two fresh daemons, as bytes."""
    both = []
    for _ in range(2):
        with Daemon() as fresh:
            job = run(fresh, REFUSED)
            report = fresh.get(job["links"]["report"]).json()
            both.append(json.dumps([job["result"], report["result"]]))
    yield both


def test_two_runs_give_the_same_bytes(two_runs: list[str]) -> None:
    assert two_runs[0] == two_runs[1]
