"""The whole road: source over HTTP, oracle, translation, check, verdict, bundle."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from ferryd import ROOT, STAGES, Daemon

EXAMPLES = ROOT / "docs" / "examples"
JAX_PYTHON = ROOT / "build" / "envs" / "jax" / "bin" / "python"

SMALL = """\
import torch
from torch import nn


class Model(nn.Module):
    '''A line.'''

    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, 5)  # not square

    def forward(self, x):
        # the answer
        return torch.relu(self.fc(x))


def get_init_inputs():
    return [4]


def get_inputs():
    return [torch.rand(3, 4)]
"""


def statuses(job: dict) -> dict[str, str]:
    return {row["name"]: row["status"] for row in job["result"]["stages"]}


@pytest.fixture(scope="module")
def small(daemon: Daemon) -> dict:
    """A finished small job."""
    return daemon.wait(daemon.submit(SMALL, entry="model:Model", name="small")["id"])


def test_a_small_model_is_proven(small: dict) -> None:
    assert small["state"] == "succeeded", small["result"]
    assert small["result"]["verdict"] == "equal"
    assert small["result"]["reason"] is None
    assert [row["name"] for row in small["result"]["stages"]] == STAGES
    for name, status in statuses(small).items():
        assert status == "passed", name
    assert small["result"]["score"] == len(STAGES)


def test_errors_are_measured_and_below_their_tolerances(small: dict) -> None:
    rows = {row["name"]: row for row in small["result"]["stages"]}
    for name in ("forward_f64", "forward_f32", "gradients", "train_state", "jit"):
        assert 0 <= rows[name]["max_error"] <= rows[name]["tolerance"] < 1e-3, rows[name]
    assert rows["forward_f64"]["tolerance"] == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("file", "entry"), [("convnet", "ConvNet"), ("forecaster", "Forecaster"), ("gpt", "GPT")]
)
def test_the_examples_are_proven(daemon: Daemon, file: str, entry: str) -> None:
    source = [{"path": f"{file}.py", "content": (EXAMPLES / f"{file}.py").read_text()}]
    job = daemon.wait(daemon.submit(source, entry=f"{file}:{entry}")["id"])
    assert job["result"]["verdict"] == "equal", job["result"]["error"] or job["result"]


def test_what_cannot_be_migrated_is_refused_by_line(daemon: Daemon) -> None:
    text = (EXAMPLES / "router.py").read_text()
    job = daemon.wait(daemon.submit([{"path": "router.py", "content": text}], entry="Router")["id"])
    assert (job["state"], job["result"]["verdict"]) == ("failed", "refused")
    refusal = job["result"]["refusals"][0]
    assert refusal["file"] == "router.py"
    assert refusal["text"] in text.splitlines()[refusal["line"] - 1]
    assert refusal["code"] and refusal["why"]


def test_comments_and_untouched_lines_stay(daemon: Daemon, small: dict) -> None:
    attempt = daemon.get(f"/v1/jobs/{small['id']}/attempts/1").json()
    (file,) = attempt["files"]
    assert file["path"] == "model.py"
    for kept in ("'''A line.'''", "# not square", "        # the answer", "    return [4]"):
        assert kept in file["content"]
    assert not re.search(r"^\s*(import|from)\s+torch|\btorch\.\w", file["content"], re.MULTILINE)


def test_the_diff_is_a_unified_diff(daemon: Daemon, small: dict) -> None:
    diff = daemon.get(f"/v1/jobs/{small['id']}/diff").text
    assert diff.startswith("--- ")
    assert "-import torch\n" in diff
    assert "@@" in diff


def test_the_bundle_is_whole_and_stands_alone(daemon: Daemon, small: dict, tmp_path: Path) -> None:
    files = daemon.bundle(small["id"])
    wanted = {"source/model.py", "jax/model.py", "weights.json", "load_weights.py"}
    wanted |= {"tests/test_equivalence.py", "report.json", "REPORT.md", "source.diff"}
    assert wanted <= set(files)
    assert files["source/model.py"].decode() == SMALL
    weights = json.loads(files["weights.json"])
    assert weights["format"] == "ferry.weights/1"
    for path, data in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    command = [str(JAX_PYTHON), "-m", "pytest", "-q", "tests"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_the_report_says_what_was_in_force(daemon: Daemon, small: dict) -> None:
    report = daemon.get(f"/v1/jobs/{small['id']}/report").json()
    assert report["format"] == "ferry.report/1"
    assert report["result"]["verdict"] == "equal"
    assert report["versions"]["torch"]["torch"].startswith("2.13.0")
    assert report["versions"]["jax"]["jax"] == "0.10.2"
    assert "seccomp" in report["confinement"]["torch"]
    assert report["contract"]["draws"] >= 2
    assert report["contract"]["inputs"] >= 2


def test_the_same_input_gives_the_same_bytes(daemon: Daemon, small: dict) -> None:
    again = daemon.wait(daemon.submit(SMALL, entry="model:Model", name="small")["id"])
    assert again["result"] == small["result"]
    first, second = (
        daemon.get(f"/v1/jobs/{job['id']}/attempts/1").json() for job in (small, again)
    )
    assert first["files"] == second["files"]
    assert first["weights"] == second["weights"]


def test_a_resubmission_is_answered_from_the_store(daemon: Daemon, small: dict) -> None:
    again = daemon.submit(SMALL, entry="model:Model", name="other name")
    finished = [data for kind, data in daemon.events(again["id"]) if kind == "step.finished"]
    cached = {data["step"] for data in finished if data["cached"]}
    assert {"inspect", "capture", "draft", "check"} <= cached
    daemon.wait(again["id"])
    report = daemon.get(f"/v1/jobs/{again['id']}/report").json()
    assert "seccomp" in report["confinement"]["jax"]  # what was in force when the steps ran


def test_a_python_side_counter_makes_it_differ(daemon: Daemon) -> None:
    source = SMALL.replace(
        "        return torch.relu(self.fc(x))",
        "        COUNT.append(1)\n        return torch.relu(self.fc(x)) + len(COUNT)",
    ).replace("class Model", "COUNT = []\n\n\nclass Model")
    job = daemon.wait(daemon.submit(source, entry="model:Model")["id"])
    assert job["state"] == "failed"
    result = job["result"]
    if result["verdict"] == "refused":
        assert result["refusals"]
        return
    assert result["verdict"] == "differs"
    difference = result["first_difference"]
    assert difference["stage"] == "forward_f64"
    assert difference["max_error"] > difference["tolerance"]
    assert difference["tensor"]


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        ("import torch\nclass Model(:\n    pass\n", "source_syntax", 2),
        ("import torch\nimport surely_not_installed\n", "missing_package", 2),
        ("import torch\nraise ValueError('no')\n", "source_import", 2),
        (
            SMALL.replace("torch.relu(self.fc(x))", "torch.relu(self.fc(x)).foo()"),
            "source_error",
            14,
        ),
        (SMALL.replace("self.fc(x)", "self.fc(x.T)"), "source_error", 14),
        (SMALL.replace("class Model", "class Other"), "entry_not_found", None),
    ],
)
def test_a_broken_source_is_told_by_line(
    daemon: Daemon, source: str, reason: str, line: int | None
) -> None:
    job = daemon.wait(daemon.submit(source, entry="model:Model")["id"])
    assert job["state"] == "failed"
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("source_error", reason)
    if line is not None:
        assert job["result"]["error"]["line"] == line
        assert job["result"]["error"]["file"] == "model.py"


def test_several_files_with_relative_imports(daemon: Daemon) -> None:
    files = [
        {"path": "net/__init__.py", "content": "from .model import Net\n"},
        {
            "path": "net/parts.py",
            "content": "import torch\nfrom torch import nn\n\n\nclass Part(nn.Module):\n"
            "    def __init__(self, d):\n        super().__init__()\n        self.norm = nn.LayerNorm(d)\n\n"
            "    def forward(self, x):\n        return x + torch.tanh(self.norm(x))\n",
        },
        {
            "path": "net/model.py",
            "content": "from torch import nn\n\nfrom .parts import Part\n\n\nclass Net(nn.Module):\n"
            "    def __init__(self, d=6):\n        super().__init__()\n        self.parts = nn.ModuleList([Part(d), Part(d)])\n\n"
            "    def forward(self, x):\n        for part in self.parts:\n            x = part(x)\n        return x\n",
        },
    ]
    job = daemon.submit(
        files, entry="net.model:Net", inputs=[{"shape": [2, 6], "dtype": "float32"}]
    )
    done = daemon.wait(job["id"])
    assert done["result"]["verdict"] == "equal", done["result"]
    paths = {f["path"] for f in daemon.get(f"/v1/jobs/{job['id']}/attempts/1").json()["files"]}
    assert {"net/__init__.py", "net/parts.py", "net/model.py"} <= paths
