"""Ports that a caller sends: the same contract, and how each kind of fault ends."""

from __future__ import annotations

import re
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryd import ROOT, STAGES, Daemon

SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n=6):
        super().__init__()
        self.fc1 = nn.Linear(n, 8)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


def get_inputs():
    return [torch.randn(4, 6)]
"""

PORT = """\
from flax import nnx


class Net(nnx.Module):
    def __init__(self, n=6, *, rngs):
        self.fc1 = nnx.Linear(n, 8, rngs=rngs)
        self.fc2 = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.fc2(self.act(self.fc1(x)))

    def act(self, x):
        return nnx.gelu(x, approximate=False)
"""

TRANSPOSE = [{"op": "permute", "axes": [1, 0]}]
ENTRIES: list[dict[str, Any]] = [
    {"to": "fc1.kernel", "from": ["fc1.weight"], "ops": TRANSPOSE},
    {"to": "fc1.bias", "from": ["fc1.bias"]},
    {"to": "fc2.kernel", "from": ["fc2.weight"], "ops": TRANSPOSE},
    {"to": "fc2.bias", "from": ["fc2.bias"]},
]


def map_of(entries: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"format": "ferry.weights/1", "params": entries, **fields}


WEIGHTS = map_of(ENTRIES)
CONSTANT = {"op": "constant", "value": 0.5, "shape": [3], "dtype": "float32"}
FIRST_THREE = {"op": "slice", "axis": 0, "start": 0, "stop": 3}


def verify(
    daemon: Daemon, port: str, weights: Any = WEIGHTS, source: str = SOURCE, **fields: Any
) -> dict[str, Any]:
    """The finished job of a port in the file port.py, whose class is Net unless `candidate` says otherwise."""
    more = {"entry": "port:Net", **fields.pop("candidate", {})}
    candidate = {"files": [{"path": "port.py", "content": port}], "weights": weights, **more}
    job = daemon.submit(source, entry="model:Net", kind="verify", candidate=candidate, **fields)
    return daemon.wait(job["id"])


def status(job: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in job["result"]["stages"]}


def report_of(daemon: Daemon, job: dict[str, Any]) -> dict[str, Any]:
    return dict(daemon.get(job["links"]["report"]).json())


@pytest.fixture(scope="module")
def proven(daemon: Daemon) -> dict[str, Any]:
    """A right port."""
    return verify(daemon, PORT)


def test_a_right_port_passes_all_stages(proven: dict[str, Any]) -> None:
    assert proven["result"]["verdict"] == "equal", proven["result"]
    assert status(proven) == dict.fromkeys(STAGES, "passed")
    assert proven["result"]["score"] == 14
    assert (proven["kind"], proven["engine"]) == ("verify", "given")
    assert proven["progress"] == {"step": "deliver", "done": 6, "total": 6}


def test_the_attempt_is_the_callers_candidate(daemon: Daemon, proven: dict[str, Any]) -> None:
    attempt = daemon.get(proven["links"]["attempts"] + "/1").json()
    assert attempt["engine"] == "given"
    assert attempt["files"] == [{"path": "port.py", "content": PORT}]
    assert [entry["to"] for entry in attempt["weights"]["params"]] == [e["to"] for e in ENTRIES]


def test_the_bundle_has_diff_picture_and_port(daemon: Daemon, proven: dict[str, Any]) -> None:
    found = daemon.bundle(proven["id"])
    assert found["jax/port.py"].decode() == PORT
    diff = found["source.diff"].decode()
    assert "--- a/model.py\n+++ /dev/null\n" in diff and "--- /dev/null\n+++ b/port.py\n" in diff
    assert found["errors.svg"] == daemon.get(proven["links"]["picture"]).body
    assert b"from port import Net" in found["tests/test_equivalence.py"]


def test_the_picture_shows_every_stage(daemon: Daemon, proven: dict[str, Any]) -> None:
    svg = ElementTree.fromstring(daemon.get(proven["links"]["picture"]).text)
    space = "{http://www.w3.org/2000/svg}"
    texts = [node.text for node in svg.iter(f"{space}text")]
    assert [text for text in texts if text in STAGES] == STAGES
    assert len(list(svg.iter(f"{space}rect"))) == 9  # the stages that measure an error


def test_the_report_has_numbers_per_tensor(daemon: Daemon, proven: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in report_of(daemon, proven)["result"]["stages"]}
    gradients = rows["gradients"]["by_tensor"]
    wanted = {f"grad/param/fc{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}
    assert wanted <= set(gradients)
    for figures in gradients.values():
        assert figures["max_error"] <= figures["tolerance"] == pytest.approx(1e-9)
    assert "by_tensor" not in proven["result"]["stages"][5]


def test_the_worst_input_is_reported(daemon: Daemon, proven: dict[str, Any]) -> None:
    worst = report_of(daemon, proven)["worst_case"]
    row = proven["result"]["stages"][-1]
    assert (worst["error"], worst["tolerance"]) == (row["max_error"], row["tolerance"])
    (summary,) = worst["input"].values()
    assert summary["dtype"] in ("float32", "float64")
    assert summary["shape"][-1] == 6
    assert summary["least"] <= summary["greatest"]
    assert len(summary["first"]) == 8
    assert all(summary["least"] <= value <= summary["greatest"] for value in summary["first"])
    assert worst["pattern"] and worst["seed"] == report_of(daemon, proven)["seeds"]["accept"]
    assert worst["expected"] == pytest.approx(worst["actual"])


def test_the_input_that_tells_a_port_from_its_source_is_reported(daemon: Daemon) -> None:
    """A port that is right for all values but large ones."""
    port = PORT.replace("nnx.gelu(x,", "nnx.gelu(x.clip(-100, 100),")
    job = verify(daemon, port)
    assert job["result"]["first_difference"]["stage"] == "worst_case", job["result"]
    worst = report_of(daemon, job)["worst_case"]
    (summary,) = worst["input"].values()
    assert max(abs(summary["least"]), abs(summary["greatest"])) > 100
    assert worst["error"] > worst["tolerance"]
    assert worst["pattern"] in ("offset", "large") and worst["round"] == 0


def test_the_same_job_has_the_same_verdict(daemon: Daemon, proven: dict[str, Any]) -> None:
    again = verify(daemon, PORT)
    assert again["result"] == proven["result"]
    first, second = report_of(daemon, proven), report_of(daemon, again)
    for part in ("result", "worst_case", "seeds", "contract", "oracle"):
        assert first[part] == second[part]


def test_other_candidates_meet_other_held_out_draws(daemon: Daemon, proven: dict[str, Any]) -> None:
    other = verify(daemon, PORT + "\n# another text\n")
    assert other["result"]["verdict"] == "equal"
    seeds = [report_of(daemon, job)["seeds"] for job in (proven, other)]
    assert seeds[0]["oracle"] == seeds[1]["oracle"]
    assert seeds[0]["accept"] != seeds[1]["accept"]


def test_a_known_bug_is_named(daemon: Daemon) -> None:
    port = PORT.replace(
        "    def act(self, x):\n        return nnx.gelu(x, approximate=False)\n", ""
    )
    port = port.replace("self.act(", "nnx.gelu(")  # the tanh approximation is flax's default
    job = verify(daemon, port)
    difference = job["result"]["first_difference"]
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("differs", "differs")
    assert difference["stage"] == "forward_f64"
    assert "gelu" in difference["bug"]["code"]
    assert difference["bug"]["title"] and difference["bug"]["rule"]
    assert status(job)["heldout"] == "not_run"


def test_a_map_is_inferred(daemon: Daemon) -> None:
    job = verify(daemon, PORT, None)
    assert job["result"]["verdict"] == "equal", job["result"]
    inferred = daemon.get(job["links"]["attempts"] + "/1").json()["weights"]
    entries = {entry["to"]: entry for entry in inferred["params"]}
    assert entries["fc1.kernel"]["from"] == ["fc1.weight"]
    assert entries["fc2.kernel"]["ops"] == TRANSPOSE


def test_tensors_without_a_partner_are_named(daemon: Daemon) -> None:
    port = PORT.replace("nnx.Linear(8, 3, rngs=rngs)", "nnx.Linear(8, 4, rngs=rngs)")
    job = verify(daemon, port, None)
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("differs", "weight_map")
    unmatched = job["result"]["error"]["unmatched"]
    assert "fc2.weight" in unmatched["source"]
    assert "fc2.kernel" in unmatched["target"]


SQUARE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 5)
        self.fc2 = nn.Linear(5, 5)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


def get_inputs():
    return [torch.randn(4, 5)]
"""

# The layers keep torch's layout, which no name and no shape tells.
SQUARE_PORT = """\
import jax.numpy as jnp
from flax import nnx


class Kept(nnx.Module):
    def __init__(self, n):
        self.kernel = nnx.Param(jnp.zeros((n, n)))
        self.bias = nnx.Param(jnp.zeros(n))

    def __call__(self, x):
        return x @ self.kernel[...].T + self.bias[...]


class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.fc1 = Kept(5)
        self.fc2 = Kept(5)

    def __call__(self, x):
        return self.fc2(jnp.tanh(self.fc1(x)))
"""


def test_an_ambiguous_map_is_found_by_trying(daemon: Daemon) -> None:
    job = verify(daemon, SQUARE_PORT, None, SQUARE)
    assert job["result"]["verdict"] == "equal", job["result"]
    inferred = daemon.get(job["links"]["attempts"] + "/1").json()["weights"]
    ops = {entry["to"]: entry["ops"] for entry in inferred["params"]}
    assert (ops["fc1.kernel"], ops["fc2.kernel"]) == ([], [])


LINEN = """\
import flax.linen as nn


class Net(nn.Module):
    n: int = 6

    @nn.compact
    def __call__(self, x):
        x = nn.gelu(nn.Dense(8, name="fc1")(x), approximate=False)
        return nn.Dense(3, name="fc2")(x)
"""

ADAPTER = """\
import jax
import jax.numpy as jnp
from flax import nnx


class Held(nnx.Module):
    def __init__(self, module, variables):
        self.module = module
        for name, layer in variables["params"].items():
            setattr(self, name, nnx.Dict({k: nnx.Param(v) for k, v in layer.items()}))


def build(entry, args, kwargs):
    module = entry(*args, **kwargs)
    return Held(module, module.init(jax.random.key(0), jnp.zeros((1, 6))))


def call(model, args, kwargs):
    params = {n: {k: p[...] for k, p in getattr(model, n).items()} for n in ("fc1", "fc2")}
    return model.module.apply({"params": params}, *args, **kwargs)
"""


def test_a_linen_port_goes_through_an_adapter(daemon: Daemon) -> None:
    job = verify(daemon, LINEN, candidate={"adapter": {"content": ADAPTER}})
    assert job["result"]["verdict"] == "equal", job["result"]
    assert status(job) == dict.fromkeys(STAGES, "passed")


def test_a_function_needs_no_map(daemon: Daemon) -> None:
    source = "import torch\n\n\ndef Net(x, y):\n    return torch.nn.functional.softplus(x * y)\n"
    port = "import jax\n\n\ndef Net(x, y):\n    return jax.nn.softplus(x * y)\n"
    inputs = [{"shape": [3, 4]}, {"shape": [3, 4]}]
    job = verify(daemon, port, None, source, inputs=inputs)
    assert job["result"]["verdict"] == "equal", job["result"]
    assert status(job)["weights"] == status(job)["optimizer"] == "not_applicable"
    assert status(job)["gradients"] == status(job)["heldout"] == "passed"


@pytest.mark.parametrize(
    ("entries", "fields", "why"),
    [
        (ENTRIES[:3], {}, "target_unfilled"),
        ([*ENTRIES, ENTRIES[3]], {}, "target_twice"),
        ([*ENTRIES[:3], {"to": "fc2.bias", "from": ["fc3.bias"]}], {}, "unknown_source"),
        ([*ENTRIES, {"to": "fc3.bias", "from": ["fc2.bias"]}], {}, "unknown_target"),
        (
            [{**ENTRIES[0], "ops": [{"op": "permute", "axes": [0, 2]}]}, *ENTRIES[1:]],
            {},
            "bad_axis",
        ),
        ([{**ENTRIES[0], "ops": []}, *ENTRIES[1:]], {}, "shape"),
        (
            [
                *ENTRIES[:3],
                {**ENTRIES[3], "ops": [{"op": "slice", "axis": 0, "start": 2, "stop": 9}]},
            ],
            {},
            "slice_range",
        ),
        (
            [*ENTRIES[:3], {"to": "fc2.bias", "from": [], "ops": [CONSTANT]}],
            {},
            "source_unused",
        ),
        (
            [*ENTRIES[:3], {"to": "fc2.bias", "from": ["fc1.bias"], "ops": [FIRST_THREE]}],
            {"ignored": ["fc2.bias"]},
            "source_twice",
        ),
        ([*ENTRIES[:3], {**ENTRIES[3], "from": ["fc2.bias", "fc1.bias"]}], {}, "not_joined"),
        (ENTRIES, {"ignored": ["fc9.weight"]}, "unknown_source"),
    ],
)
def test_a_wrong_map_is_told(
    daemon: Daemon, entries: list[dict[str, Any]], fields: dict[str, Any], why: str
) -> None:
    job = verify(daemon, PORT, map_of(entries, **fields))
    result = job["result"]
    assert (result["verdict"], result["reason"], result["score"]) == ("differs", "weight_map", 3)
    assert result["error"]["why"] == why, result["error"]
    assert re.search(r"fc\d\.(weight|kernel|bias)", result["error"]["message"]), result["error"]
    assert status(job)["weights"] == "failed"


@pytest.mark.parametrize(
    ("op", "code", "field"),
    [
        ({"op": "transpose"}, "invalid_field", "op"),
        ({"op": "permute"}, "missing_field", "axes"),
        ({"op": "slice", "axis": "x", "start": 0, "stop": 1}, "invalid_field", "axis"),
    ],
)
def test_an_operation_that_is_none_is_no_job(
    daemon: Daemon, op: dict[str, Any], code: str, field: str
) -> None:
    weights = map_of([{**ENTRIES[0], "ops": [op]}, *ENTRIES[1:]])
    candidate = {"files": [{"path": "port.py", "content": PORT}], "weights": weights}
    source = {"files": [{"path": "model.py", "content": SOURCE}]}
    reply = daemon.post("/v1/jobs", {"kind": "verify", "source": source, "candidate": candidate})
    assert (reply.status, reply.json()["code"]) == (422, code), reply.text
    assert reply.json()["pointer"] == f"/candidate/weights/params/0/ops/0/{field}"


FAULTS = [
    (PORT.replace("class Net(nnx.Module):", "class Net(nnx.Module:"), "candidate_error", 4),
    (PORT.replace("from flax", "import torch\nfrom flax"), "candidate_import", 1),
    (PORT.replace("from flax", "import os\nfrom flax"), None, None),
    (PORT.replace("from flax", "import not_here\nfrom flax"), "candidate_import", 1),
    (PORT.replace("class Net", "raise RuntimeError('no')\n\n\nclass Net"), "candidate_error", 4),
    (PORT.replace("class Net", "class Other"), "candidate_error", None),
    (PORT.replace("nnx.Linear(8, 3", "nnx.Linear(8, undefined"), "candidate_error", 7),
    (PORT.replace("self.act(self.fc1(x))", "self.act(self.fc3(x))"), "candidate_error", 10),
]


@pytest.mark.parametrize(("port", "reason", "line"), FAULTS)
def test_a_faulty_candidate_ends_with_file_and_line(
    daemon: Daemon, port: str, reason: str | None, line: int | None
) -> None:
    job = verify(daemon, port)
    result = job["result"]
    if reason is None:  # the standard library may be imported
        assert result["verdict"] == "equal", result
        return
    assert (job["state"], result["verdict"], result["reason"]) == ("failed", "differs", reason), (
        result
    )
    assert result["error"]["message"]
    if line is not None:
        assert (result["error"]["file"], result["error"]["line"]) == ("port.py", line)
        assert result["error"]["text"].strip() == port.splitlines()[line - 1].strip()
    assert daemon.get(job["links"]["bundle"]).status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True:\n        pass", "limit_cpu"),
        ("import os; os._exit(3)", "step_crashed"),
        ("x = [bytearray(1 << 28) for _ in range(64)]", "limit_memory"),
    ],
)
def test_a_candidate_that_breaks_its_step_differs(body: str, reason: str) -> None:
    limits = ["--set", "sandbox.cpu_s=8", "--set", "sandbox.wall_s=60"]
    port = PORT.replace("        return self.fc2", f"        {body}\n        return self.fc2")
    with Daemon(*limits, "--set", "sandbox.memory_bytes=2147483648") as daemon:
        result = verify(daemon, port)["result"]
    assert result["verdict"] == "differs"
    assert result["reason"] in (reason, "candidate_error"), result["error"]


def test_a_source_that_fails_is_no_fault_of_the_candidate(daemon: Daemon) -> None:
    job = verify(daemon, PORT, source=SOURCE.replace("self.fc1(x)", "self.fc1(x.T)"))
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("source_error", "source_error")
    assert job["result"]["error"]["file"] == "model.py"


def test_stages_that_are_left_out_are_said(daemon: Daemon) -> None:
    job = verify(daemon, PORT, contract={"stages": ["forward_f64", "gradients"], "seeds": 1})
    left_out = set(STAGES[5:]) - {"forward_f64", "gradients"}
    assert job["result"]["verdict"] == "equal_under_assumptions"
    assert {name for name, state in status(job).items() if state == "not_run"} == left_out
    (assumption,) = job["result"]["assumptions"]
    assert assumption["code"] == "stages_left_out"
    assert all(name in assumption["text"] for name in left_out)
    report = report_of(daemon, job)
    assert set(report["contract"]["left_out"]) == left_out
    assert report["contract"]["draws"] == 1


def test_what_is_left_out_is_not_held_against_a_port(daemon: Daemon) -> None:
    port = PORT.replace(
        "return self.fc2(", "assert x.shape[0] in (2, 3, 4, 5)\n        return self.fc2("
    )
    whole = verify(daemon, port)
    assert whole["result"]["verdict"] == "differs"
    part = verify(
        daemon, port, contract={"stages": ["forward_f64", "forward_f32", "gradients", "train"]}
    )
    assert part["result"]["verdict"] == "equal_under_assumptions", part["result"]


def test_migrating_is_held_to_the_same_contract(daemon: Daemon) -> None:
    job = daemon.wait(daemon.submit(SOURCE, entry="model:Net", contract={"seeds": 2})["id"])
    assert job["result"]["verdict"] == "equal", job["result"]
    assert status(job) == dict.fromkeys(STAGES, "passed")
    report = report_of(daemon, job)
    assert (report["contract"]["draws"], report["contract"]["inputs"]) == (2, 2)


# Put at the end of ferry/steps.py: a step returns what a comment in its files says.
REPLACED = """

_load = load


def load(name: str) -> Step:
    real = _load(name)

    def run(ctx: Context) -> Json:
        import json

        for file in ctx.request["files"]:
            for line in file["content"].splitlines():
                if line.startswith(f"# {name} returns "):
                    return json.loads(line.removeprefix(f"# {name} returns "))
        return real(ctx)

    return run
"""


@pytest.fixture(scope="module")
def broken() -> Iterator[Daemon]:
    """A daemon whose steps can be told to return anything."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder)
        package.chmod(0o755)  # pytest's own folders are closed to the sandbox
        shutil.copytree(ROOT / "workers" / "python" / "ferry", package / "ferry")
        with (package / "ferry" / "steps.py").open("a") as file:
            file.write(REPLACED)
        with Daemon("--set", f"sandbox.package_dir={package}") as running:
            yield running


PLAN_WITHOUT_CASES = (
    '{"plan": {"format": "ferry.plan/1", "kind": "class", "outputs": [], "cases": []}}'
)


@pytest.mark.parametrize("result", ["{}", '{"plan": 3, "tensors": "x"}', PLAN_WITHOUT_CASES])
@pytest.mark.parametrize("step", ["capture", "accept"])
def test_a_malformed_oracle_is_the_sources_fault(broken: Daemon, step: str, result: str) -> None:
    job = verify(broken, PORT, source=f"{SOURCE}# {step} returns {result}\n")
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("source_error", "result_invalid")


@pytest.mark.parametrize(
    "result",
    [
        "{}",
        '{"stages": 3}',
        '{"stages": {"parse": {"status": "passed"}}}',
        '{"stages": {}, "weights": 3, "map_choices": 99, "unmatched": [1]}',
        '{"stages": {"parse": {"status": "failed", "error": {"code": "internal", "message": 1}}}}',
    ],
)
def test_a_malformed_check_is_the_candidates_fault(broken: Daemon, result: str) -> None:
    job = verify(broken, f"{PORT}# check returns {result}\n", None)
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("differs", "result_invalid")


@pytest.mark.parametrize("result", ["{}", '{"bug": 3}', '{"bug": {"code": [], "rule": null}}'])
def test_a_malformed_fingerprint_changes_nothing(broken: Daemon, result: str) -> None:
    port = PORT.replace("approximate=False", "approximate=True")
    job = verify(broken, port, source=f"{SOURCE}# fingerprint returns {result}\n")
    assert (job["result"]["verdict"], job["result"]["reason"]) == ("differs", "differs")
    assert job["result"]["first_difference"]["stage"] == "forward_f64"


@pytest.mark.parametrize(
    "result", ["{}", '{"files": 3, "diff": {}}', '{"files": [3, {"path": 1}]}']
)
def test_a_malformed_delivery_keeps_the_verdict(broken: Daemon, result: str) -> None:
    job = verify(broken, PORT, source=f"{SOURCE}# deliver returns {result}\n")
    assert job["state"] in ("succeeded", "failed")
    assert job["result"]["score"] == 14
