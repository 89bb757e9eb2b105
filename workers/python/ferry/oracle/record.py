"""The record of an oracle under construction: tensors, cases, and what there is to say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ferry.oracle.cases import Run
from ferry.oracle.recipe import Weights
from ferry.oracle.trees import Arguments, Leaves, Spec, stored

Json = dict[str, Any]


@dataclass
class Record:
    """`given` and `expected` of steps.md with the cases that name their tensors.

    ``outputs[i]`` describes the float64 output of input set i under the first weights.
    """

    inputs: list[Arguments] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    outputs: dict[int, Spec] = field(default_factory=dict)
    given: Leaves = field(default_factory=dict)
    expected: Leaves = field(default_factory=dict)
    cases: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def add_weights(self, weights: Weights) -> int:
        """Keep one more weight draw; its number."""
        index = len(self.weights)
        self.weights.append(weights)
        self.given |= {f"w{index}/{name}": stored(value) for name, value in weights.items()}
        return index

    def add_input(self, arguments: Arguments) -> int:
        """Keep one more argument set; its number."""
        index = len(self.inputs)
        self.inputs.append(arguments)
        leaves = arguments.leaves().items()
        self.given |= {f"x{index}/{path}": stored(leaf) for path, leaf in leaves}
        return index

    def add(self, case: Json, run: Run) -> Json:
        """Keep what `run` gave as the next case."""
        identity = f"c{len(self.cases)}"
        draws = run.random.draws
        rng = [draw.to_json(f"rng/{identity}/{n}") for n, draw in enumerate(draws)]
        for number, draw in enumerate(draws):
            self.given |= draw.given(f"rng/{identity}/{number}")
            asked = draw.asked.items()
            self.expected |= {f"{identity}/draw/{number}/{name}": value for name, value in asked}
        self.expected |= {f"{identity}/{name}": leaf for name, leaf in run.leaves.items()}
        if has_nonfinite(run.leaves):
            self.note(f"{case['stage']}: the source's own results are not all finite")
        if run.random.drew_elsewhere:
            self.note("the source draws from `random` or numpy, which is not replayed")
        if run.random.diverged:
            self.note("the float32 runs draw other random numbers than the float64 ones")
        case = {"id": identity, **case, "rng": rng, "output": run.output}
        if run.arguments is not None:
            case["arguments"] = run.arguments
        if run.unwritten:
            case["unwritten"] = run.unwritten
        self.cases.append(case)
        return case

    def results(self, case: Json, kind: str = "out") -> Leaves:
        """The expected leaves of a case below `kind`, by path."""
        prefix = f"{case['id']}/{kind}/"
        return {
            name.removeprefix(prefix): leaf
            for name, leaf in self.expected.items()
            if name.startswith(prefix)
        }


def has_nonfinite(leaves: Leaves) -> bool:
    """Whether any floating leaf holds an infinity or NaN."""
    return any(map(_nonfinite, leaves.values()))


def _nonfinite(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def new_case(
    stage: str, draw: int, index: int, dtype: str, truth: str | None = None, mode: str = "eval"
) -> Json:
    """A case of steps.md, before it was run."""
    return {
        "stage": stage,
        "draw": draw,
        "input": index,
        "mode": mode,
        "dtype": dtype,
        "truth": truth,
    }
