"""What kind of values an input has, so that more of the same kind can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ferry.oracle.trees import float32_exact

# uniform values have kurtosis 1.8, normal ones 3
UNIFORM_KURTOSIS = 2.2
FEW_VALUES = 4


@dataclass(frozen=True)
class Family:
    """A distribution by `name` with two numbers (range, or mean and deviation), and a structure.

    Names: constant, choice, bool, int, uniform, normal, simplex (last axis sums to one),
    log_simplex. Structures of the last two axes: triu, tril, symmetric; of a vector:
    ascending, descending.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    structure: str | None = None
    values: tuple[float, ...] = ()


def observe(tensor: Tensor) -> Family:
    """The family that `tensor` seems to come from."""
    if tensor.numel() == 0:
        return Family("constant")
    if tensor.dtype == torch.bool:
        return Family("bool", high=float(tensor.double().mean()))
    if tensor.is_complex():
        return Family("normal", 0.0, float(tensor.abs().double().std(correction=0)) or 1.0)
    values = tensor.double()
    if not bool(torch.isfinite(values).all()):
        return Family("constant")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return _around(low) if tensor.is_floating_point() else Family("constant")
    structure = _structure(values)
    if not tensor.is_floating_point():
        return Family("int", low, high + 1, structure)
    return _observe_float(values, low, high, structure)


def _around(value: float) -> Family:
    """Values near one that was the same everywhere, so that it does not stay that way."""
    if value == 0:
        return Family("normal", 0.0, 0.1)
    return Family("uniform", min(0.5 * value, 1.5 * value), max(0.5 * value, 1.5 * value))


def _observe_float(values: Tensor, low: float, high: float, structure: str | None) -> Family:
    distinct = torch.unique(values)
    if len(distinct) <= FEW_VALUES and values.numel() > 2 * len(distinct):
        return Family("choice", values=tuple(distinct.tolist()))
    if bool((values == values.round()).all()):
        return Family("int", low, high + 1, structure)
    if values.ndim and values.shape[-1] > 1 and structure is None:
        ones = torch.ones((), dtype=values.dtype)
        if low >= 0 and torch.allclose(values.sum(-1), ones, atol=1e-5):
            return Family("simplex")
        if high <= 0 and torch.allclose(values.exp().sum(-1), ones, atol=1e-5):
            return Family("log_simplex")
    nonzero = values[values != 0] if structure in ("triu", "tril") else values
    mean, deviation = float(nonzero.mean()), float(nonzero.std(correction=0))
    one_sided = float(nonzero.min()) >= 0 or float(nonzero.max()) <= 0
    kurtosis = float(((nonzero - mean) ** 4).mean()) / max(deviation**4, 1e-300)
    if one_sided or (kurtosis < UNIFORM_KURTOSIS and nonzero.numel() >= 32):
        return Family("uniform", float(nonzero.min()), float(nonzero.max()), structure)
    return Family("normal", mean, deviation or 1.0, structure)


def _structure(values: Tensor) -> str | None:
    if values.ndim == 1 and values.numel() > 1:
        steps = values.diff()
        if bool((steps >= 0).all()):
            return "ascending"
        return "descending" if bool((steps <= 0).all()) else None
    if values.ndim < 2 or values.shape[-1] != values.shape[-2] or values.shape[-1] < 2:
        return None
    if not bool(values.tril(-1).any()):
        return "triu"
    if not bool(values.triu(1).any()):
        return "tril"
    return "symmetric" if torch.equal(values, values.mT) else None


def resized(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`tensor` cut or repeated to `shape`."""
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size and tensor.shape[axis]:
            index = torch.arange(size) % tensor.shape[axis]
            tensor = tensor.index_select(axis, index)
    return tensor.clone()


def draw(
    family: Family, like: Tensor, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """New values of `family` in the dtype of `like`, such that float32 holds them exactly."""
    if family.name == "constant":
        return resized(like, shape)
    if like.is_complex():
        parts = torch.randn(*shape, 2, generator=generator) * family.high
        return torch.view_as_complex(parts).to(like.dtype)
    values = _draw_plain(family, shape, generator)
    if family.structure is not None:
        values = _impose(values, family.structure)
    return float32_exact(values.float().to(like.dtype))


def _draw_plain(family: Family, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if family.name == "normal":
        return torch.randn(shape, generator=generator) * family.high + family.low
    if family.name in ("simplex", "log_simplex"):
        logits = torch.randn(shape, generator=generator)
        return logits.softmax(-1) if family.name == "simplex" else logits.log_softmax(-1)
    if family.name == "int":
        low, high = int(family.low), max(int(family.high), int(family.low) + 1)
        return torch.randint(low, high, shape, generator=generator).double()
    if family.name == "choice":
        index = torch.randint(len(family.values), shape, generator=generator)
        return torch.tensor(family.values)[index]
    unit = torch.rand(shape, generator=generator)
    if family.name == "bool":
        return (unit < family.high).double()
    return unit * (family.high - family.low) + family.low


def _impose(values: Tensor, structure: str) -> Tensor:
    if structure in ("ascending", "descending"):
        return values.sort(descending=structure == "descending").values
    if values.shape[-1] != values.shape[-2]:
        return values
    if structure == "symmetric":
        return (values + values.mT) / 2
    return values.triu() if structure == "triu" else values.tril()


def from_spec(spec: dict[str, Any], bound: int | None) -> Family:
    """The family that a caller's input spec asks for; `bound` limits integers without a high."""
    low, high = spec.get("low"), spec.get("high")
    dtype = spec.get("dtype") or "float32"
    if spec.get("value") is not None:
        return Family("constant")
    if dtype == "bool":
        return Family("bool", high=0.5)
    if dtype.startswith(("int", "uint")):
        lowest = int(low or 0)
        return Family("int", lowest, int(high) if high is not None else lowest + (bound or 10))
    if low is None and high is None:
        return Family("normal", 0.0, 1.0)
    return Family("uniform", float(low or 0.0), float(high if high is not None else 1.0))
