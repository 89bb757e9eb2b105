"""How far the output moves with each input and each weight alone: what does not is not proven."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.calibrate import movement
from ferry.oracle.inputs import Inputs, other_set
from ferry.oracle.recipe import Weights, shaken
from ferry.oracle.stages import Stages
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments, Leaves, stored
from ferry.step import StepError

Json = dict[str, Any]

# an output that moves by less than this of its size does not react
SILENT = 1e-9
# an output in float64 that is so much smaller than in float32 consists of rounding errors
ONLY_ROUNDING = 1e-6
# runs spent on tensors whose reaction does not show in the gradient
MAX_RUNS = 16


@dataclass
class Reaction:
    """Movements of the float64 output, relative to its size.

    `input` and `weights` are of all inputs, of all weights at once; None where there are none.
    """

    input: float | None
    weights: float | None
    by_input: dict[str, float] = field(default_factory=dict)
    by_weight: dict[str, float] = field(default_factory=dict)
    each: bool = False
    vacuous: bool = False

    @property
    def deaf(self) -> list[str]:
        """The inputs (as ``input 0``) and weights that move nothing."""
        inputs = [f"input {path}" for path, moved in self.by_input.items() if moved < SILENT]
        return inputs + [name for name, moved in self.by_weight.items() if moved < SILENT]

    def to_json(self) -> Json:
        """The `reaction` of capture's result."""
        shown: Json = {"input": self.input, "weights": self.weights}
        if self.each:
            shown |= {"by_input": self.by_input, "by_weight": self.by_weight, "deaf": self.deaf}
        return shown


def measure(stages: Stages, inputs: Inputs, heard: float, *, each: bool) -> Reaction:
    """The reaction of the first case; `each` asks for inputs and weights one by one."""
    meter = _Meter(stages, inputs)
    found = Reaction(heard if inputs.families else None, meter.all_weights(), each=each)
    if each:
        found.by_input = meter.inputs_alone()
        found.by_weight = meter.weights_alone()
    silent = (found.input or 0.0) < SILENT and (found.weights or 0.0) < SILENT
    found.vacuous = silent or meter.only_rounding()
    return found


class _Meter:
    """Runs the first float64 case with one thing replaced."""

    def __init__(self, stages: Stages, inputs: Inputs) -> None:
        self._stages = stages
        self._record = stages.record
        self._inputs = inputs
        self._base = self._record.results(stages.truths[0, 0][0])

    def _moved(self, weights: Weights, arguments: Arguments) -> float | None:
        """How far the output moves; None where the source refuses to run."""
        try:
            run = self._stages.runner.forward(
                weights, arguments, "float64", self._stages.truths[0, 0][1]
            )
        except StepError:
            return None
        outputs = {n.removeprefix("out/"): v for n, v in run.leaves.items() if n.startswith("out/")}
        return movement(self._base, outputs)

    def all_weights(self) -> float | None:
        """The movement from the first weight draw to the second."""
        if len(self._record.weights) < 2 or not self._record.weights[0]:
            return None
        return movement(self._base, self._record.results(self._stages.truths[1, 0][0]))

    def inputs_alone(self) -> dict[str, float]:
        """Each input replaced by other values of its family and shape."""
        first, found = self._record.inputs[0], {}
        shapes = {path: tuple(leaf.shape) for path, leaf in first.leaves().items()}
        other = other_set(
            self._inputs, shapes, (self._stages.runner.seed, "alone"), turn=1
        ).leaves()
        for path in shapes:
            changed = first.mapped(functools.partial(_replaced, path, other[path]))
            moved = self._moved(self._record.weights[0], changed)
            if moved is not None:
                found[path] = moved
        return found

    def weights_alone(self) -> dict[str, float]:
        """Each floating variable replaced by another draw.

        Where the gradient shows that the output reacts, the movement is that of the
        gradient's own estimate; the others are run, as many as the bound allows.
        """
        built = self._stages.runner.copies.built
        if not isinstance(built, nn.Module):
            return {}
        found = self._by_gradient()
        weights, runs = self._record.weights[0], 0
        for variable in variables(built):
            if variable.name in found or not weights[variable.name].is_floating_point():
                continue
            runs += 1
            if runs > MAX_RUNS:
                self._record.note(f"the reaction to {variable.name} and later ones is not measured")
                break
            ties = {v.name for v in variables(built) if v.storage == variable.storage}
            value = self._replacement(variable.name)
            moved = self._moved(weights | dict.fromkeys(ties, value), self._record.inputs[0])
            if moved is not None:
                found[variable.name] = moved
        order = {v.name: n for n, v in enumerate(variables(built))}
        return dict(sorted(found.items(), key=lambda item: order[item[0]]))

    def _other_draw(self) -> Weights:
        weights = self._record.weights
        return weights[1] if len(weights) > 1 else weights[0]

    def _replacement(self, name: str) -> Tensor:
        """Another value for a variable, which its second draw need not be."""
        value, other = self._record.weights[0][name], self._other_draw()[name]
        if not torch.equal(value, other):
            return other
        return shaken(value, "alone", name)

    def _by_gradient(self) -> dict[str, float]:
        """The movement that the gradient predicts for each parameter, where it is not silent."""
        cases = [case for case in self._record.cases if case["stage"] == "gradients"]
        if not cases:
            return {}
        slopes = self._record.results(cases[0], "grad/param")
        size = _projected(self._base, self._stages.cotangents[0])
        weights, other = self._record.weights[0], self._other_draw()
        found = {}
        for name, slope in slopes.items():
            change = stored(other[name]).double() - stored(weights[name]).double()
            moved = abs(float((slope * change).sum())) / size if size else 0.0
            if SILENT < moved < math.inf:
                found[name] = moved
        return found

    def only_rounding(self) -> bool:
        """Whether the outputs are zero by analysis, so that nothing but rounding errors moves."""
        sizes = list(self._sizes())
        return bool(sizes) and all(wide <= ONLY_ROUNDING * single for wide, single in sizes)

    def _sizes(self) -> Iterator[tuple[float, float]]:
        """The largest magnitude of each floating output, in float64 and in float32."""
        for wide, single in self._pairs():
            for path, leaf in wide.items():
                if not leaf.is_floating_point():
                    yield 1.0, 0.0
                elif leaf.numel():
                    yield float(leaf.abs().max()), float(single[path].abs().max())

    def _pairs(self) -> Iterator[tuple[Leaves, Leaves]]:
        cases = {case["id"]: case for case in self._record.cases}
        for case in cases.values():
            if case["stage"] == "forward_f32":
                truth = cases[case["truth"]]
                yield self._record.results(truth), self._record.results(case)


def _replaced(path: str, value: Tensor, own: str, old: Tensor) -> Tensor:
    """`value` for the leaf `path`, what there is for the others."""
    return value if own == path else old


def _projected(outputs: Leaves, cotangents: Leaves) -> float:
    """The size that sum(output * cotangent) has for random cotangents."""
    total = sum(float((outputs[p] * c).square().sum()) for p, c in cotangents.items())
    return math.sqrt(total)
