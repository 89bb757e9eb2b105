"""Weights under which the output reacts to the input: a deaf oracle proves nothing.

Deep nets at their built scales often lose their signal on the way. Where that is so, one
forward goes through the model layer by layer: running statistics become those of the
layer's real input (shaken), and weights are scaled so that outputs vary by about one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.cases import Runner
from ferry.oracle.inputs import Inputs, generator_for, other_set
from ferry.oracle.recipe import Weights
from ferry.oracle.state import variables
from ferry.oracle.trees import Leaves, float32_exact
from ferry.step import StepError

DEAF = 1e-2
WORTH = 3.0
LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)
TINY = 1e-12


def movement(a: Leaves, b: Leaves) -> float:
    """How far apart two outputs are, relative to their size; 0 where they are the same."""
    moved = 0.0
    for name, first in a.items():
        second = b.get(name)
        if second is None or second.shape != first.shape:
            return 1.0
        x, y = (torch.nan_to_num(t.double()) for t in (first, second))
        if x.numel():
            size = max(float(x.abs().max()), float(y.abs().max()), TINY)
            moved = max(moved, float((x - y).abs().max()) / size)
    return moved


def reaction(runner: Runner, weights: Weights, inputs: Inputs) -> float:
    """How far the output moves when every input gets other values."""
    other = other_set(inputs, {}, (runner.seed, "reaction"))
    first = runner.forward(weights, inputs.first, "float32").leaves
    return movement(first, runner.forward(weights, other, "float32").leaves)


def hearing(
    runner: Runner, weights: Weights, inputs: Inputs, draw: int
) -> tuple[Weights, float, bool]:
    """Weights that react, calibrated ones where the given ones hardly do.

    Gives them with their reaction, and whether they were calibrated.
    """
    heard = reaction(runner, weights, inputs)
    if heard >= DEAF or not runner.program.is_class:
        return weights, heard, False
    try:
        calibrated = calibrate(runner, weights, inputs, draw)
        better = reaction(runner, calibrated, inputs)
    except StepError:
        return weights, heard, False
    if better < WORTH * heard or not better:
        return weights, heard, False
    return calibrated, better, True


def calibrate(runner: Runner, weights: Weights, inputs: Inputs, draw: int) -> Weights:
    """`weights` with running statistics and scales that fit the input, layer by layer."""
    model = runner.copies.fresh(weights, "eval", "float32")
    assert isinstance(model, nn.Module)
    for path, module in model.named_modules():
        generator = generator_for("calibrate", runner.seed, draw, path)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_statistics_hook(generator))
        elif isinstance(module, LAYERS) and "weight" in module._parameters:
            module.register_forward_hook(_scale_hook())
    runner.run_once(model, inputs.first.copied(), "float32")
    return {v.name: float32_exact(v.tensor.detach().clone()) for v in variables(model)}


def _statistics_hook(generator: torch.Generator) -> Callable[..., None]:
    """Before its first call a norm gets its input's statistics, shaken at random."""
    seen = False

    def hook(module: Any, args: tuple[Tensor, ...]) -> None:
        nonlocal seen
        if seen or module.running_var is None:
            return
        seen = True
        axes = [axis for axis in range(args[0].ndim) if axis != 1]
        variance, mean = torch.var_mean(args[0], axes, correction=0)
        unit = torch.rand(mean.shape, generator=generator)
        normal = torch.randn(mean.shape, generator=generator)
        module.running_mean.copy_(mean + 0.3 * normal * variance.sqrt())
        module.running_var.copy_(variance * (unit * 1.5 + 0.5) + TINY)

    return hook


def _scale_hook() -> Callable[..., Tensor | None]:
    """After its first call a layer's weight is scaled so that its output varies by one."""
    seen = False

    def hook(module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        nonlocal seen
        if seen or output.ndim < 2:
            return None
        seen = True
        channel = output.ndim - 1 if isinstance(module, nn.Linear | nn.Bilinear) else 1
        axes = [axis for axis in range(output.ndim) if axis != channel]
        deviation = float(output.var(axes, correction=0).mean().sqrt())
        if not TINY < deviation < 1 / TINY:
            return None
        module.weight.mul_(1 / deviation)
        result: Tensor = module.forward(*args)
        return result

    return hook
