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
from ferry.oracle import accept, capture, inspect_step
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


def untimed(result: Json) -> Json:
    """A result of capture without what it measured of the clock."""
    return {name: value for name, value in result.items() if name != "eager_seconds"}


def refusal(source: str | dict[str, str], **given: Any) -> StepError:
    """The error that inspect, or else capture, ends in."""
    with pytest.raises(StepError) as caught:
        capture_source(source, **given)
    return caught.value


WHOLE = {
    "draws": 3,
    "inputs": 3,
    "seed": 0,
    "train_steps": 2,
    "scales": [1, 8, 0.01],
    "resize": 2,
    "optimizer_steps": 3,
}


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

    def results(self, case: Json, kind: str = "out") -> dict[str, Any]:
        """The expected leaves of a case below `kind`, by path."""
        prefix = f"{case['id']}/{kind}/"
        names = [name for name in self.expected if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.expected[name] for name in names}

    def numbered(self, name: str) -> dict[str, Any]:
        """The given tensors below `name` (`w0`, `x1`, `ct0`)."""
        names = [key for key in self.given if key.startswith(f"{name}/")]
        return {key.removeprefix(f"{name}/"): self.given[key] for key in names}

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
    return _oracle(request, json.loads(json.dumps(capture.run(context))), context)


def capture_whole(source: str | dict[str, str], **given: Any) -> Oracle:
    """The same under the whole recipe."""
    return capture_source(source, recipe=WHOLE, **given)


def accept_source(
    source: str | dict[str, str],
    oracle: Oracle,
    seed: int = 1,
    around: tuple[Oracle, int] | None = None,
    repeated: list[str] | None = None,
    **given: Any,
) -> Oracle:
    """accept after capture; round 1 around an input of an earlier round where one is named."""
    request = request_of(source, **given)
    inspected = json.loads(json.dumps(inspect_step.run(MemoryContext(request))))
    wanted: Json = {"seed": seed, "round": 0, "around": None}
    if repeated is not None:
        wanted["repeated"] = repeated
    inputs = {"given": oracle.raw["given"]}
    if around is not None:
        wanted |= {"round": 1, "around": {"given": "previous", "input": around[1]}}
        inputs["previous"] = around[0].raw["given"]
    more = {"inspected": inspected, "plan": oracle.plan, "accept": wanted}
    context = MemoryContext({**request, **more}, inputs)
    return _oracle(request, json.loads(json.dumps(accept.run(context))), context)


def _oracle(request: Json, result: Json, context: MemoryContext) -> Oracle:
    raw = context.outputs
    return Oracle(
        result,
        safetensors.torch.load(raw["given"]),
        safetensors.torch.load(raw["expected"]),
        raw,
        {f["path"]: f["content"] for f in request["files"]},
    )
