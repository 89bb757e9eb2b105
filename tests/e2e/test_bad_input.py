"""What a caller can get wrong about a source: each fault ends with its own code, file and line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ferryd import Daemon

SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(x)
"""

INPUTS = [{"shape": [4, 6]}]


@pytest.fixture(scope="module")
def small() -> Iterator[Daemon]:
    """A daemon whose sandboxes give little."""
    limits = {
        "wall_s": 20,
        "cpu_s": 8,
        "memory_bytes": 1 << 31,
        "output_bytes": 65536,
        "processes": 16,
    }
    settings = [f"sandbox.{name}={value}" for name, value in limits.items()]
    with Daemon(*[word for setting in settings for word in ("--set", setting)]) as daemon:
        yield daemon


def returns(expression: str) -> str:
    return SOURCE.replace("return self.fc(x)", f"return {expression}")


def runs(statement: str) -> str:
    return SOURCE.replace("        return", f"        {statement}\n        return")


# a source, its inputs where they are the fault, the reason, and the line of model.py
FAULTS: dict[str, tuple[str, dict[str, Any], str, int]] = {
    "too_many_inputs": (SOURCE, {"inputs": INPUTS * 2}, "inputs_refused", 10),
    "unknown_keyword": (SOURCE, {"inputs": [{**INPUTS[0], "name": "z"}]}, "inputs_refused", 10),
    "no_tree_of_inputs": (SOURCE, {"inputs_expr": "(object(),)"}, "inputs_refused", 10),
    "inputs_of_another_size": (SOURCE, {"inputs": [{"shape": [4, 5]}]}, "source_error", 11),
    "output_is_a_set": (returns("{1, 2}"), {}, "unsupported_output", 10),
    "output_holds_an_object": (returns("[self.fc(x), {'k': self}]"), {}, "unsupported_output", 10),
    "another_class": (SOURCE.replace("Net", "Other"), {}, "entry_not_found", 0),
    "missing_package": ("import not_here\n" + SOURCE, {}, "missing_package", 1),
}

LIMITS = {
    "cpu": (runs("while True: pass"), "limit_cpu"),
    "wall": (runs("__import__('time').sleep(100)"), "limit_wall"),
    "memory": (runs("held = [bytearray(1 << 27) for _ in range(64)]"), "limit_memory"),
    "output": (runs("print('x' * (1 << 20), flush=True)"), "limit_output"),
    "crash": (runs("__import__('os')._exit(3)"), "step_crashed"),
}


def ended(daemon: Daemon, source: str, **inputs: Any) -> dict[str, Any]:
    """The result of a job that fails for the source's sake; its report says the same."""
    job = daemon.submit(source, entry="model:Net", **(inputs or {"inputs": INPUTS}))
    job = daemon.wait(job["id"])
    assert (job["state"], job["result"]["verdict"]) == ("failed", "source_error"), job["result"]
    assert daemon.get(job["links"]["report"]).json()["result"]["reason"] == job["result"]["reason"]
    assert job["result"]["error"]["message"]
    return dict(job["result"])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_own_code_and_place(small: Daemon, name: str) -> None:
    source, inputs, reason, line = FAULTS[name]
    result = ended(small, source, **inputs)
    assert result["reason"] == result["error"]["code"] == reason, result["error"]
    if line:
        assert (result["error"]["file"], result["error"]["line"]) == ("model.py", line)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_has_its_own_code(small: Daemon, name: str) -> None:
    source, reason = LIMITS[name]
    result = ended(small, source)
    assert result["reason"] == result["error"]["code"] == reason, result["error"]
    assert "capture" in result["error"]["message"] or "inspect" in result["error"]["message"]
