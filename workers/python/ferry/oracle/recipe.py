"""Weight draws: new values for every parameter at the scale that it was built with.

Norm scales, biases and running statistics become random, because at their initial ones and
zeros a wrong rule does not show. Whatever else a module holds keeps its built values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ferry.oracle.inputs import generator_for
from ferry.oracle.state import Variable, variables
from ferry.oracle.trees import float32_exact

NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
# a constant below this hides what it scales (LayerScale starts at 1e-6)
FAINT = 0.01

Weights = dict[str, Tensor]


def draw_weights(model: nn.Module, seed: object, draw: int) -> Weights:
    """Draw `draw` of all variables of a freshly built `model`, tied names with equal values."""
    by_storage: dict[int, Tensor] = {}
    weights: Weights = {}
    for variable in variables(model):
        if variable.storage not in by_storage:
            generator = generator_for("weights", seed, draw, variable.name)
            by_storage[variable.storage] = _redraw(variable, generator)
        weights[variable.name] = by_storage[variable.storage]
    return weights


def shaken(value: Tensor, *key: object) -> Tensor:
    """Another value for one variable, of like size and of the same sign."""
    noise = torch.rand(value.shape, generator=generator_for("shaken", *key)).to(value.dtype)
    return float32_exact(value * (0.5 + noise) + value.sign() * 0.1 * noise)


def _redraw(variable: Variable, generator: torch.Generator) -> Tensor:
    built = variable.tensor.detach()
    if built.layout != torch.strided:
        built = built.to_dense()
    if not built.is_floating_point() and not built.is_complex():
        return built.clone()
    if variable.kind != "parameter" and not _is_statistic(variable):
        return float32_exact(built.clone())
    if built.is_complex():
        parts = _drawn(variable, torch.view_as_real(built.resolve_conj()).float(), generator)
        return torch.view_as_complex(parts.contiguous()).to(built.dtype)
    return float32_exact(_drawn(variable, built.float(), generator).to(built.dtype))


def _is_statistic(variable: Variable) -> bool:
    return variable.kind != "attribute" and variable.local in ("running_mean", "running_var")


def _drawn(variable: Variable, built: Tensor, generator: torch.Generator) -> Tensor:
    """float32 values in place of `built`, by what the variable is for."""
    unit = torch.rand(built.shape, generator=generator)
    normal = torch.randn(built.shape, generator=generator)
    if variable.local == "running_mean":
        return normal * 0.3
    if variable.local == "running_var":
        return unit * 1.5 + 0.5
    finite = built[torch.isfinite(built)]
    if not finite.numel():
        return normal * 0.1
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        norm_scale = isinstance(variable.owner_module, NORMS) and variable.local == "weight"
        scale = 1.0 if norm_scale else low
        return normal * 0.1 if abs(scale) < FAINT else (unit + 0.5) * scale
    if low >= 0 or high <= 0:
        return unit * (high - low) + low
    drawn = normal * float(finite.std(correction=0)) + float(finite.mean())
    return torch.where(torch.isinf(built), built, drawn)
