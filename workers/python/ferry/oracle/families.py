"""What kind of values an input has, so that more of the same kind can be drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    log_simplex, triangle (a mask that is true on one side of the diagonal `low`).
    Structures of the last two axes: triu, tril, symmetric; of a vector: ascending, descending.
    `bounded` says that the range of a uniform family is a limit and not only what was seen.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    structure: str | None = None
    values: tuple[float, ...] = ()
    bounded: bool = False

    def scaled(self, scale: float) -> Family:
        """The family of values `scale` times as large, or itself where that would leave it.

        Probabilities stay probabilities, and limits that the caller gave are kept.
        """
        if self.name not in ("normal", "uniform"):
            return self
        low, high = sorted((self.low * scale, self.high * scale))
        within = self.low <= low and high <= self.high
        limited = self.bounded or (self.low >= 0 and self.high <= 1)
        if self.name == "uniform" and limited and not within:
            return self
        return replace(self, low=self.low * scale, high=self.high * scale)


def observe(tensor: Tensor) -> Family:
    """The family that `tensor` seems to come from."""
    if tensor.numel() == 0:
        return Family("constant")
    if tensor.dtype == torch.bool:
        return _observe_mask(tensor)
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


TRIANGLES = (("triu", 0), ("triu", 1), ("tril", 0), ("tril", -1))


def _observe_mask(mask: Tensor) -> Family:
    """A triangle as attention masks have it, else a mask with its share of true values."""
    if mask.ndim >= 2 and min(mask.shape[-2:]) > 1:
        for structure, diagonal in TRIANGLES:
            family = Family("triangle", diagonal, structure=structure)
            if torch.equal(triangle(family, mask.shape), mask):
                return family
    share = float(mask.double().mean())
    return Family("bool", high=share if 0 < share < 1 else 0.25 + 0.5 * share)


def triangle(family: Family, shape: tuple[int, ...]) -> Tensor:
    """The mask of a triangle family."""
    ones = torch.ones(shape, dtype=torch.bool)
    diagonal = int(family.low)
    return ones.triu(diagonal) if family.structure == "triu" else ones.tril(diagonal)


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
    family: Family, like: Tensor, shape: tuple[int, ...], generator: torch.Generator, turn: int = 0
) -> Tensor:
    """New values of `family` in the dtype of `like`, such that float32 holds them exactly.

    A mask has both values in every row; one of a single element has them in turn.
    """
    if family.name == "constant":
        return resized(like, shape)
    if family.name == "triangle":
        return triangle(family, shape)
    if family.name == "bool":
        return both_ways(torch.rand(shape, generator=generator) < family.high, turn).to(like.dtype)
    if like.is_complex():
        parts = torch.randn(*shape, 2, generator=generator) * family.high
        return torch.view_as_complex(parts).to(like.dtype)
    values = _draw_plain(family, shape, generator)
    if family.structure is not None:
        values = impose(values, family.structure)
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
    return torch.rand(shape, generator=generator) * (family.high - family.low) + family.low


def both_ways(mask: Tensor, turn: int) -> Tensor:
    """`mask` with both values in each row of its last axis that is longer than one."""
    if mask.numel() == 1:
        return torch.full_like(mask, turn % 2 == 1)
    if not mask.numel():
        return mask
    if mask.shape[-1] == 1:
        return both_ways(mask.squeeze(-1), turn).unsqueeze(-1)
    mask = mask.clone()
    alike = mask.all(-1) | ~mask.any(-1)
    mask[..., -1] ^= alike
    return mask


def impose(values: Tensor, structure: str) -> Tensor:
    """`values` changed so that they have the structure."""
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
    bounds = (float(low or 0.0), float(high if high is not None else 1.0))
    return Family("uniform", *bounds, bounded=True)
