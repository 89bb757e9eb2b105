"""Searches for inputs where rules come apart: ascent on curvature, and steps around a known one.

Two rules that agree on ordinary inputs differ where the function bends, so the ascent maximises
how far the output is from linear over a step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ferry.oracle.cases import Runner
from ferry.oracle.families import Family, draw
from ferry.oracle.inputs import Inputs, call, generator_for
from ferry.oracle.patterns import clipped
from ferry.oracle.recipe import Weights
from ferry.oracle.trees import Arguments, Leaves, flatten_output, float32_exact
from ferry.step import StepError

Change = Callable[[Tensor, Tensor], Tensor]

STEPS = 4
# lengths relative to the size of an input: of the step that measures curvature, of one of ascent
BEND = 0.25
ASCENT = 0.5
# how far from the worst input round 1 looks, relative to its size
NEAR = (0.5, 0.1, 0.01)


def climbed(
    runner: Runner, weights: Weights, inputs: Inputs, start: Arguments, seed: int
) -> Arguments | None:
    """Inputs of large curvature, from `start`; None where the source has no derivative."""
    leaves = {p: v.double() for p, v in start.leaves().items() if _is_free(inputs.families[p], v)}
    if not leaves:
        return None
    try:
        for _ in range(STEPS):
            slopes = _slopes(runner, weights, start, leaves, seed)
            if slopes is None:
                return None
            leaves = {
                path: clipped(inputs.families[path], value + ASCENT * _unit(slopes[path], value))
                for path, value in leaves.items()
            }
    except StepError:
        return None
    return start.mapped(lambda p, v: float32_exact(leaves[p].to(v.dtype)) if p in leaves else v)


def _is_free(family: Family, value: Tensor) -> bool:
    """Whether an input may have any values near its own."""
    real = value.dtype in (torch.float32, torch.float64) and value.numel() > 0
    return real and family.name in ("normal", "uniform") and family.structure is None


def _unit(slope: Tensor, value: Tensor) -> Tensor:
    """`slope` with the size of `value`."""
    steep = float(slope.square().mean().sqrt())
    size = float(value.square().mean().sqrt()) or 1.0
    return slope * (size / steep) if steep > 0 else torch.zeros_like(slope)


def _slopes(
    runner: Runner, weights: Weights, start: Arguments, leaves: Leaves, seed: int
) -> Leaves | None:
    """The gradient of the squared second difference of the output; None where it has none."""
    model = runner.copies.fresh(weights, "eval", "float64")
    moving = {path: value.clone().requires_grad_() for path, value in leaves.items()}
    bends = {
        path: BEND * _unit(torch.randn(v.shape, generator=generator_for(seed, path)).double(), v)
        for path, v in leaves.items()
    }

    def outputs(step: int) -> Leaves:
        def at(path: str, value: Tensor) -> Tensor:
            if path in moving:
                return moving[path] + step * bends[path]
            wide = value.is_floating_point()
            return value.double() if wide else value.clone()

        with runner.running("float64"):
            found = flatten_output(call(model, start.mapped(at)))[1]
        return {p: v for p, v in found.items() if v.is_floating_point() and v.requires_grad}

    with torch.enable_grad():
        low, middle, high = outputs(-1), outputs(0), outputs(1)
        bent = [(low[p] - 2 * v + high[p]).square().mean() for p, v in middle.items()]
        if not bent:
            return None
        try:
            found = torch.autograd.grad(
                sum(bent[1:], bent[0]), list(moving.values()), allow_unused=True
            )
        except RuntimeError:  # a module that keeps a state overwrites what the first calls need
            return None
    slopes = {
        p: torch.zeros_like(v) if g is None else g
        for (p, v), g in zip(leaves.items(), found, strict=True)
    }
    finite = all(bool(torch.isfinite(slope).all()) for slope in slopes.values())
    return slopes if finite else None


def _moved(value: Tensor, noise: Tensor, near: float) -> Tensor:
    size = float(value.double().square().mean().sqrt()) or 1.0
    return value + near * size * noise


# what is done to an input, given normal noise of its shape
MOVES: dict[str, Change] = {
    **{f"near {near}": functools.partial(_moved, near=near) for near in NEAR},
    "doubled": lambda value, _: 2 * value,
    "halved": lambda value, _: value / 2,
    "negated": lambda value, _: -value,
    "rolled": lambda value, _: value.roll(1, -1) if value.ndim else value,
}
MIXED = 2


def neighbours(inputs: Inputs, worst: Arguments, seed: int) -> Iterator[tuple[str, Arguments]]:
    """Argument sets near `worst`: moved, scaled, negated, rolled, and with parts drawn anew."""
    if any(_is_free(inputs.families[path], leaf) for path, leaf in worst.leaves().items()):
        for name, change in MOVES.items():
            yield name, _mapped(inputs, worst, change, seed)
    for part in range(MIXED):
        yield f"mixed {part}", _mixed(inputs, worst, seed, part)


def _mapped(inputs: Inputs, worst: Arguments, change: Change, seed: int) -> Arguments:
    def moved(path: str, value: Tensor) -> Tensor:
        family = inputs.families[path]
        if not _is_free(family, value):
            return value
        noise = torch.randn(value.shape, generator=generator_for("near", seed, path))
        return float32_exact(clipped(family, change(value, noise.to(value.dtype))))

    return worst.mapped(moved)


def _mixed(inputs: Inputs, worst: Arguments, seed: int, part: int) -> Arguments:
    """Half of the elements of every input drawn anew."""

    def mixed(path: str, value: Tensor) -> Tensor:
        family = inputs.families[path]
        if family.structure is not None or family.name in ("simplex", "log_simplex"):
            return value
        generator = generator_for("mixed", seed, part, path)
        other = draw(family, value, tuple(value.shape), generator)
        keep = torch.rand(value.shape, generator=generator) < 0.5
        return torch.where(keep, value, other)

    return worst.mapped(mixed)
