"""Sources that are themselves inexact in float64, recognised by perturbing them.

A source may compute in float32 inside whatever the surroundings say (through numpy, or in a
kernel whose constants are float32, as the derivative of hardsigmoid). No correct port can then
agree with it to 1e-9, so the case says how far its own results can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ferry.oracle.cases import Run, Runner
from ferry.oracle.draws import Draw
from ferry.oracle.inputs import generator_for
from ferry.oracle.recipe import Weights
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments, Leaves

ULP = 2.0**-52
FLOAT32_ULP = 2.0**-23
# far above float64's rounding and far below float32's, and so small that no kink is met
NUDGE = 2.0**-27
# a step at which differences of float64 results still have ten digits
STRIDE = 2.0**-20
# noise below this is within the float64 tolerance as it is
HEARD = 2.0**-4 * 1e-9
# a disagreement with the derivative that shows itself, and the largest that float32 explains
SEEN = 2e-11
FLOAT32_ERROR = 1e-6
# gradients that are looked at one by one
MAX_ALONE = 64
# how much clearer than its own uncertainty a disagreement with the derivative must be
CLEAR = 8.0
# a leaf is measured against at least this part of the largest beside it
LEAST_RANGE = 1e-3


def nudged(values: Tensor, size: float, *key: object) -> Tensor:
    """`values` in float64, each moved up or down by `size` of itself, a zero by that of the rest."""
    wide = values.double()
    span = wide.abs()
    if not wide.numel():
        return wide
    span = torch.where(span == 0, float(span.max()) or 1.0, span)
    up = torch.rand(wide.shape, generator=generator_for("nudge", *key)) < 0.5
    return wide + size * torch.where(up, span, -span)


def largest(leaves: Iterable[Tensor]) -> float:
    """The largest finite magnitude among floating leaves."""
    sizes = [
        float(torch.nan_to_num(leaf.double(), posinf=0, neginf=0).abs().max())
        for leaf in leaves
        if leaf.is_floating_point() and leaf.numel()
    ]
    return max(sizes, default=0.0)


def _outputs(run: Run) -> Leaves:
    return {name: leaf for name, leaf in run.leaves.items() if name.startswith("out/")}


def relative_by_leaf(
    difference: Callable[[str], Tensor], leaves: Mapping[str, Tensor]
) -> dict[str, float]:
    """The largest difference of each floating leaf, relative to its range."""
    beside = LEAST_RANGE * largest(leaves.values())
    found = {}
    for name, leaf in leaves.items():
        size = max(largest([leaf]), beside)
        if size and leaf.is_floating_point():
            found[name] = largest([difference(name)]) / size
    return found


def relative(difference: Callable[[str], Tensor], leaves: Mapping[str, Tensor]) -> float:
    """The largest difference of any floating leaf, each relative to its range."""
    return max(relative_by_leaf(difference, leaves).values(), default=0.0)


def apart(single: Run, truth: Run) -> dict[str, float]:
    """The error of each output of a float32 run against its float64 truth."""
    found, wanted = _outputs(single), _outputs(truth)
    return relative_by_leaf(lambda name: found[name].double() - wanted[name], wanted)


@dataclass
class Prober:
    """Runs the source beside a point: all parameters moved, and the inputs in `movable`."""

    runner: Runner
    movable: set[str]

    def nudge(
        self, weights: Weights, arguments: Arguments, size: float
    ) -> tuple[Weights, Arguments]:
        """Everything moved by `size` of itself; tied parameters by the same numbers."""
        built = self.runner.copies.built
        moved: dict[int, Tensor] = {}
        near = dict(weights)
        for variable in variables(built) if isinstance(built, nn.Module) else []:
            name, storage = variable.name, variable.storage
            if variable.kind == "parameter" and weights[name].is_floating_point():
                moved.setdefault(storage, nudged(weights[name], size, name))
                near[name] = moved[storage]

        def leaf(path: str, value: Tensor) -> Tensor:
            free = path in self.movable and value.is_floating_point()
            return nudged(value, size, "input", path) if free else value

        return near, arguments.mapped(leaf)

    def outputs(self, weights: Weights, arguments: Arguments, base: Run, size: float) -> Leaves:
        """The outputs beside the point of `base`, with its draws."""
        near = self.nudge(weights, arguments, size)
        return _outputs(self.runner.forward(*near, "float64", base.random.draws))

    def bend(self, weights: Weights, arguments: Arguments, base: Run) -> float:
        """How far outputs at three close points are from a straight line.

        A float64 function is straight there to its rounding errors; float32 within moves in
        steps. More than float32 explains is a jump of the source, a rounding of its own say: 0.
        """
        first = _outputs(base)
        second, third = (self.outputs(weights, arguments, base, times * NUDGE) for times in (1, 2))
        for name, leaf in first.items():
            if leaf.shape != second[name].shape or leaf.shape != third[name].shape:
                return 0.0
        bent = relative(lambda n: (first[n] - 2 * second[n] + third[n]) / 2, first)
        return bent if bent < FLOAT32_ERROR else 0.0

    def conditioning(
        self, weights: Weights, arguments: Arguments, base: Run, size: float
    ) -> dict[str, float]:
        """How far each output moves when everything moves by `size`, one way and the other.

        Whole outputs must not move at all: where values are tied, one of the ways parts them.
        """
        first = _outputs(base)
        sides = [self.outputs(weights, arguments, base, side) for side in (size, -size)]
        found = [moved_by_leaf(first, second) for second in sides]
        return {name: max(side.get(name, 0.0) for side in found) for name in first}


def moved_by_leaf(first: Leaves, second: Leaves) -> dict[str, float]:
    """The relative difference of each leaf of two runs; 1 where a shape or whole number differs."""
    parted = {n for n, leaf in first.items() if _parted(leaf, second.get(n))}
    same = {name: leaf for name, leaf in first.items() if name not in parted}
    near = relative_by_leaf(lambda name: first[name] - second[name], same)
    return near | dict.fromkeys(parted, 1.0)


def _parted(leaf: Tensor, other: Tensor | None) -> bool:
    if other is None or other.shape != leaf.shape:
        return True
    return not leaf.is_floating_point() and not torch.equal(leaf, other)


def moved(first: Leaves, second: Leaves) -> float:
    """The largest relative difference of two runs; 1 where shapes or whole numbers differ."""
    return max(moved_by_leaf(first, second).values(), default=0.0)


@dataclass
class Derivative:
    """A gradient case: the `slopes` are its gradients as `param/{name}` and `input/{path}`."""

    runner: Runner
    weights: Weights
    arguments: Arguments
    cotangents: Leaves
    slopes: Leaves
    draws: list[Draw]

    def noise(self) -> float:
        """How far the gradients are from the change of sum(output * cotangent) along them.

        All are looked at together first, and one by one only where that shows a disagreement.
        """
        if not self._disagreement(list(self.slopes)):
            return 0.0
        return max(self._disagreement([name]) for name in list(self.slopes)[:MAX_ALONE])

    def _disagreement(self, names: list[str]) -> float:
        """The relative error of the gradient along itself, 0 where it cannot be told from none.

        Differences over one and two strides tell their own uncertainty. What is far off is no
        inexact arithmetic: the source detaches something there.
        """
        line = _Line(self.weights, self.arguments, {n: self.slopes[n] for n in names})
        if not line.slope:
            return 0.0

        def difference(step: float) -> float:
            return (self._loss(line, step) - self._loss(line, -step)) / (2 * step)

        near, far = difference(STRIDE), difference(2 * STRIDE)
        unsure = CLEAR * abs(near - far) / line.slope
        off = min(abs(near - line.slope), abs(far - line.slope)) / line.slope
        return off if unsure + SEEN < off < FLOAT32_ERROR else 0.0

    def _loss(self, line: _Line, step: float) -> float:
        run = self.runner.forward(*line.at(step), "float64", self.draws)
        outputs = [(run.leaves[f"out/{path}"], c) for path, c in self.cotangents.items()]
        return sum(float((leaf * cotangent).sum()) for leaf, cotangent in outputs)


class _Line:
    """The line through weights and inputs along their gradient, in steps of their own size."""

    def __init__(self, weights: Weights, arguments: Arguments, slopes: Leaves) -> None:
        self._weights = weights
        self._arguments = arguments
        self._slopes = slopes
        leaves = arguments.leaves()
        own = {id(v): (v, slopes.get(f"param/{name}")) for name, v in weights.items()}
        pairs = [*own.values(), *((leaf, slopes.get(f"input/{p}")) for p, leaf in leaves.items())]
        # the gradient of a complex tensor has another shape and is not looked at
        known = [(v, s) for v, s in pairs if s is not None and s.shape == v.shape]
        steep = sum(float(slope.square().sum()) for _, slope in known) ** 0.5
        size = sum(float(value.double().square().sum()) for value, _ in known) ** 0.5
        usable = 0 < steep < float("inf") and 0 < size < float("inf")
        self.slope = steep * size if usable else 0.0
        self._factor = size / steep if usable else 0.0

    def at(self, step: float) -> tuple[Weights, Arguments]:
        """Weights and arguments at `step`."""

        def moved(name: str, value: Tensor) -> Tensor:
            slope = self._slopes.get(name)
            if slope is None or slope.shape != value.shape:
                return value
            return value.double() + step * self._factor * slope

        weights = {name: moved(f"param/{name}", v) for name, v in self._weights.items()}
        return weights, self._arguments.mapped(lambda path, v: moved(f"input/{path}", v))
