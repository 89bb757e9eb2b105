"""Sources are given as text; the real steps run on them in memory.

These tests import torch: run them with the torch environment's interpreter and
PYTHONPATH=workers/python.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest
import safetensors.torch
from ferry.oracle import capture, inspect_step
from ferry.step import MemoryContext, StepError

Json = dict[str, Any]
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def request_of(source: str | dict[str, str], **given: Any) -> Json:
    """A request; one source becomes model.py with the usual imports as lines 1 to 3."""
    if isinstance(source, str):
        source = {"model.py": HEAD + textwrap.dedent(source)}
    files = [{"path": path, "content": textwrap.dedent(text)} for path, text in source.items()]
    return {"files": files, "entry": None, "seed": 0, **given}


def inspect_source(source: str | dict[str, str], **given: Any) -> Json:
    """inspect's result, as it looks after JSON."""
    return json.loads(json.dumps(inspect_step.run(MemoryContext(request_of(source, **given)))))


def refusal(source: str | dict[str, str], **given: Any) -> StepError:
    """The error that inspect, or else capture, ends in."""
    with pytest.raises(StepError) as caught:
        capture_source(source, **given)
    return caught.value


@dataclass
class Oracle:
    """What capture gave."""

    result: Json
    given: dict[str, Any]
    expected: dict[str, Any]
    raw: dict[str, bytes]
    sources: dict[str, str]

    @property
    def plan(self) -> Json:
        return self.result["plan"]

    def cases(self, stage: str) -> list[Json]:
        return [case for case in self.plan["cases"] if case["stage"] == stage]

    def tensor(self, name: str) -> Json:
        return next(t for t in self.result["tensors"] if t["name"] == name)

    def facts_of(self, text: str, path: str = "model.py") -> list[Json]:
        """Facts of all one-line sites that read `text`."""
        return [fact for shown, fact in self.sites(path) if shown == text]

    def sites(self, path: str = "model.py") -> list[tuple[str, Json]]:
        lines = self.sources[path].splitlines()
        found = []
        for span, fact in self.result["facts"]["sites"][path].items():
            line, start, end_line, end = map(int, span.split(":"))
            if line == end_line:
                found.append((lines[line - 1].encode()[start:end].decode(), fact))
        return found


def capture_source(source: str | dict[str, str], **given: Any) -> Oracle:
    """inspect and capture one after the other, as the daemon runs them."""
    recipe = {"draws": 2, "inputs": 2, "seed": 0, "train_steps": 2, **given.pop("recipe", {})}
    request = request_of(source, **given)
    inspected = json.loads(json.dumps(inspect_step.run(MemoryContext(request))))
    context = MemoryContext({**request, "inspected": inspected, "recipe": recipe})
    result = json.loads(json.dumps(capture.run(context)))
    raw = context.outputs
    return Oracle(
        result,
        safetensors.torch.load(raw["given"]),
        safetensors.torch.load(raw["expected"]),
        raw,
        {f["path"]: f["content"] for f in request["files"]},
    )
