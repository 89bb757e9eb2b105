"""Capture a source and fingerprint what a candidate gave, as the daemon does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from ferry.bugs import fingerprint
from ferry.oracle import capture, inspect_step
from ferry.step import MemoryContext
from torch import Tensor

Json = dict[str, Any]
HEAD = "import math\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def _wide(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


@dataclass
class Captured:
    """A request with what capture made of it."""

    request: Json
    plan: Json
    given: dict[str, Tensor]
    expected: dict[str, Tensor]
    raw: bytes

    @classmethod
    def of(cls, source: str, inputs: str, entry: str | None = None) -> Captured:
        files = [{"path": "model.py", "content": HEAD + source}]
        request = {"files": files, "entry": entry, "inputs_expr": inputs, "seed": 0}
        inspected = json.loads(json.dumps(inspect_step.run(MemoryContext(request))))
        recipe = {"draws": 1, "inputs": 2, "seed": 0, "train_steps": 2}
        request |= {"inspected": inspected, "recipe": recipe}
        context = MemoryContext(request)
        result = json.loads(json.dumps(capture.run(context)))
        loaded = (safetensors.torch.load(context.outputs[n]) for n in ("given", "expected"))
        return cls(request, result["plan"], *loaded, context.outputs["given"])

    def inputs(self) -> list[Tensor]:
        """Positional tensors of the first argument set, wide."""
        found = sorted(name for name in self.given if name.startswith("x0/"))
        return [_wide(self.given[name]) for name in found]

    def weights(self) -> dict[str, Tensor]:
        """Draw 0 by torch name, wide."""
        return {n[3:]: _wide(t) for n, t in self.given.items() if n.startswith("w0/")}

    def arrays(self, case: str) -> dict[str, Tensor]:
        """Inputs, cotangents and the draws of one case, wide."""
        kept = ("x", "ct", f"rng/{case}/")
        return {n: _wide(t) for n, t in self.given.items() if n.startswith(kept)}

    def case(self, stage: str) -> Json:
        """The first case of a stage."""
        return next(c for c in self.plan["cases"] if c["stage"] == stage)

    def named(self, located: dict[str, Tensor], place: Json) -> Json:
        """The result of the step."""
        request = {**self.request, "plan": self.plan, "place": place}
        data = {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in located.items()
        }
        inputs = {"given": self.raw, "located": safetensors.torch.save(data)}
        return json.loads(json.dumps(fingerprint.run(MemoryContext(request, inputs))))

    def at(self, values: Any, path: str = ".", call: int = 0, **others: Tensor) -> Json:
        """The result for a candidate that gave `values` in that call."""
        parts = values if isinstance(values, list | tuple) else [values]
        located = {f"c0/sub/{path}#{call}/{i}": torch.as_tensor(v) for i, v in enumerate(parts)}
        return self.named({**located, **others}, {"path": path, "call": call})
