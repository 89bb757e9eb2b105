"""Inputs meant to separate rules: extreme scales, ties, constants, one-hot rows, far offsets.

A pattern is drawn in units of a standard deviation; the family of each input then brings it into
the values that the input may have.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ferry.oracle.families import Family, both_ways, draw, impose, triangle
from ferry.oracle.inputs import Inputs, generator_for
from ferry.oracle.trees import Arguments, float32_exact

Shape = tuple[int, ...]
Pattern = Callable[[Tensor], Tensor]

# how a limited range is covered: two deviations from its middle are its ends
REACH = 2.0


def _alternating(values: Tensor) -> Tensor:
    if not values.ndim:
        return torch.ones_like(values)
    return (1.0 - 2.0 * (torch.arange(values.shape[-1]) % 2)).expand_as(values)


def _one_hot(values: Tensor) -> Tensor:
    if not values.ndim:
        return torch.ones_like(values)
    row = torch.arange(values[..., 0].numel()).reshape(values.shape[:-1])
    return torch.nn.functional.one_hot(row % values.shape[-1], values.shape[-1]).float()


def _sorted(values: Tensor) -> Tensor:
    return values.sort(-1).values if values.ndim else values


# by name: of normal values, what the inputs are to be
PATTERNS: dict[str, Pattern] = {
    "tiny": lambda values: values * 1e-4,
    "large": lambda values: values * 100,
    "offset": lambda values: values + 300,
    "saturating": lambda values: 30 * values.sign(),
    "zeros": torch.zeros_like,
    "constant": lambda values: torch.full_like(values, 0.75),
    "ties": torch.round,
    "sorted": _sorted,
    "one_hot": _one_hot,
    "alternating": _alternating,
    "lowest": lambda values: torch.full_like(values, -REACH),
    "highest": lambda values: torch.full_like(values, REACH),
}
# these say nothing about whole numbers
SMOOTH = {"tiny", "large", "offset", "saturating", "zeros"}


def patterned(inputs: Inputs, shapes: dict[str, Shape], name: str, key: object) -> Arguments:
    """An argument set of the pattern `name`, each input within its family."""

    def fresh(path: str, like: Tensor) -> Tensor:
        shape = shapes.get(path, tuple(like.shape))
        generator = generator_for("pattern", key, name, path)
        family = inputs.families[path]
        if name in SMOOTH and not like.is_floating_point():
            return draw(family, like, shape, generator)
        values = PATTERNS[name](torch.randn(shape, generator=generator))
        return within(family, like, values)

    return inputs.first.mapped(fresh)


def all_whole(inputs: Inputs) -> bool:
    """Whether all inputs are whole numbers or masks."""
    return not any(leaf.is_floating_point() for leaf in inputs.first.leaves().values())


def within(family: Family, like: Tensor, values: Tensor) -> Tensor:
    """`values`, in deviations from the middle, as values that `family` may have."""
    shape = tuple(values.shape)
    if family.name == "constant":
        return like.clone() if like.shape == values.shape else draw(family, like, shape, NO_DRAW)
    if family.name == "triangle":
        return triangle(family, shape)
    if family.name == "bool":
        return both_ways(values > 0, 1).to(like.dtype)
    if like.is_complex():
        return torch.complex(values, values.flip(-1) if values.ndim else values).to(like.dtype)
    placed = _placed(family, values)
    if family.structure is not None:
        placed = impose(placed, family.structure)
    return float32_exact(placed.float().to(like.dtype))


NO_DRAW = torch.Generator()


def _placed(family: Family, values: Tensor) -> Tensor:
    if family.name == "normal":
        middle = family.low if abs(family.low) > family.high else 0.0
        return values * family.high + middle
    if family.name == "simplex":
        return values.softmax(-1)
    if family.name == "log_simplex":
        return values.log_softmax(-1)
    share = (values / (2 * REACH) + 0.5).clamp(0, 1)
    if family.name == "choice":
        index = (share * (len(family.values) - 1)).round().long()
        return torch.tensor(family.values)[index]
    if family.name == "int":
        low, high = int(family.low), max(int(family.high), int(family.low) + 1)
        return (low + share.double() * (high - 1 - low)).round()
    return share * (family.high - family.low) + family.low


def clipped(family: Family, values: Tensor) -> Tensor:
    """Real values pulled back into the range of a uniform family."""
    return values.clamp(family.low, family.high) if family.name == "uniform" else values
