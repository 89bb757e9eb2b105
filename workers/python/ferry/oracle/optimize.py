"""The stage optimizer: a few steps of SGD and of AdamW in train mode, by torch's own update rules.

The rules are called as functions, because torch's optimizer classes import the compiler.
As there, a parameter whose gradient is None in a step is left alone in that step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from ferry.oracle.cases import Run, Runner, derived, values_of
from ferry.oracle.draws import Draw
from ferry.oracle.inputs import call
from ferry.oracle.recipe import Weights
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments, Leaves, flatten_output, stored
from ferry.step import StepError

Json = dict[str, Any]
Update = Callable[[list[Tensor | None]], None]
Rule = Callable[[Json, list[Tensor]], Update]

# the length of a step relative to the parameters'
STRIDE = 0.02
# AdamW's eps relative to the gradients: far below it is rounding noise, which must not be
# normalised to the size of a gradient
NOISE_FLOOR = 1e-3
LEAST_EPS = 1e-8


@dataclass
class Step:
    """The arguments of one step and the cotangents of its loss sum(output * cotangent)."""

    arguments: Arguments
    cotangents: Leaves


def optimizers(weights: Leaves, gradients: Leaves) -> list[Json]:
    """SGD and AdamW such that parameters move visibly; none where nothing has a gradient."""
    size, slope = _rms(weights), _rms(gradients)
    if not (0 < size < math.inf and 0 < slope < math.inf):
        return []
    eps = max(LEAST_EPS, _rounded(NOISE_FLOOR * slope))
    sgd_rate, adam_rate = _rounded(STRIDE * size / slope), _rounded(STRIDE * size)
    return [
        {"name": "sgd", "lr": sgd_rate, "momentum": 0.9, "weight_decay": 0.01},
        {"name": "adamw", "lr": adam_rate, "betas": [0.9, 0.999], "eps": eps, "weight_decay": 0.01},
    ]


def _rms(leaves: Leaves) -> float:
    """The root of the mean square over all elements."""
    count = sum(leaf.numel() for leaf in leaves.values())
    total = sum(float(leaf.double().square().sum()) for leaf in leaves.values())
    return math.sqrt(total / count) if count else 0.0


def _rounded(value: float) -> float:
    """`value` to one significant digit."""
    return float(f"{value:.0e}")


def _sgd(options: Json, parameters: list[Tensor]) -> Update:
    momentum: list[list[Tensor | None]] = [[None] for _ in parameters]

    def update(gradients: list[Tensor | None]) -> None:
        for parameter, gradient, buffer in zip(parameters, gradients, momentum, strict=True):
            if gradient is None:
                continue
            sgd(
                [parameter],
                [gradient],
                buffer,
                foreach=False,
                weight_decay=options["weight_decay"],
                momentum=options["momentum"],
                lr=options["lr"],
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )

    return update


def _adamw(options: Json, parameters: list[Tensor]) -> Update:
    averages = [torch.zeros_like(p) for p in parameters]
    squares = [torch.zeros_like(p) for p in parameters]
    steps = [torch.zeros(()) for _ in parameters]
    first, second = options["betas"]

    def update(gradients: list[Tensor | None]) -> None:
        for i, gradient in enumerate(gradients):
            if gradient is None:
                continue
            adamw(
                [parameters[i]],
                [gradient],
                [averages[i]],
                [squares[i]],
                [],
                [steps[i]],
                foreach=False,
                amsgrad=False,
                beta1=first,
                beta2=second,
                lr=options["lr"],
                weight_decay=options["weight_decay"],
                eps=options["eps"],
                maximize=False,
            )

    return update


RULES: Mapping[str, Rule] = {"sgd": _sgd, "adamw": _adamw}


def optimize(
    runner: Runner,
    weights: Weights,
    steps: list[Step],
    options: Json,
    replay: list[Draw] | None = None,
) -> Run:
    """Run the steps; each forward's output, and parameters and state after the last.

    What is not trained is recorded too: a port must not train it either.
    """
    model = runner.copies.fresh(weights, "train", "float64")
    assert isinstance(model, nn.Module)
    parameters = [
        v for v in variables(model) if v.kind == "parameter" and v.tensor.is_floating_point()
    ]
    distinct = {str(v.storage): v.tensor for v in parameters if v.tensor.requires_grad}
    before = values_of(model)
    update = RULES[options["name"]](options, list(distinct.values()))
    with runner.running("float64", replay) as draws, torch.enable_grad():
        run = Run(draws)
        for number, step in enumerate(steps):
            output = call(model, step.arguments.copied(wide=True))
            run.outputs.append(run.keep_output(output, f"out/{number}"))
            leaves = flatten_output(output)[1]
            _require_same(leaves, step.cotangents)
            found = derived(leaves, step.cotangents, distinct)
            with torch.no_grad():
                update([found[key] for key in distinct])
    run.leaves |= {f"param/{v.name}": stored(v.tensor) for v in parameters}
    run.keep_state(model, before)
    return run


def _require_same(outputs: Leaves, cotangents: Leaves) -> None:
    """The loss is defined by eval mode's outputs, so train mode must have them too."""
    for path, cotangent in cotangents.items():
        if path not in outputs or outputs[path].shape != cotangent.shape:
            raise StepError("source_error", f"in train mode the output {path} is another")
