"""The argument sets of a recipe: batch sizes, scales and further sizes, found by trying."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ferry.oracle.cases import Run, Runner
from ferry.oracle.families import resized
from ferry.oracle.inputs import Inputs, batch_shapes, other_set
from ferry.oracle.recipe import Weights
from ferry.oracle.record import has_nonfinite
from ferry.oracle.settings import Recipe
from ferry.oracle.trees import Arguments
from ferry.step import StepError

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Axis = tuple[str, int]

SAME_SIZE = "the source accepts no other batch size; all inputs have the same shapes"
NO_RESIZE = "no resize: the source accepts no other size of its inputs"


@dataclass(frozen=True)
class Variation:
    """What to try: a batch size, and for a size v the sizes ``times * v + plus``, in that order.

    Axes of equal size change together, as a sequence length does in tokens and mask; with
    `alone` the last axis changes by itself, so that images become rectangular.
    """

    batch: int
    sizes: tuple[tuple[int, int], ...]
    alone: bool = False

    def others(self, size: int) -> list[int]:
        """The sizes to try in place of `size`; halves come last."""
        found = [times * size + plus for times, plus in self.sizes]
        return [other for other in (*found, size // 2) if other >= 1]


RESIZE = (
    Variation(4, ((1, 1), (2, 0), (1, -1))),
    Variation(1, ((1, -1), (1, 2), (2, 0)), alone=True),
)
HELDOUT = (Variation(6, ((1, 2), (1, -2), (3, 0), (1, -4))),)
MAX_TRIES = 12
MAX_GROWTH = 4


@dataclass
class Chooser:
    """Tries argument sets on the source under one draw of weights."""

    runner: Runner
    inputs: Inputs
    weights: Weights
    notes: list[str] = field(default_factory=list)

    @property
    def own(self) -> Shapes:
        """The shapes that the first arguments came with."""
        return {path: tuple(leaf.shape) for path, leaf in self.inputs.first.leaves().items()}

    def narrow(self, count: int) -> list[Arguments]:
        """`count` sets; the second, fourth … have another batch size where that is accepted."""
        sets = [self.inputs.first]
        accepted: Shapes = {}
        for shapes in batch_shapes(self.inputs.first.leaves()) if count > 1 else []:
            if self._accepts(other_set(self.inputs, shapes, (self.runner.seed, 1))):
                accepted = shapes
                break
        else:
            if count > 1:
                self.notes.append(SAME_SIZE)
        for i in range(1, count):
            shapes = accepted if i % 2 else {}
            sets.append(other_set(self.inputs, shapes, (self.runner.seed, i), turn=i))
        return sets

    def whole(self, recipe: Recipe) -> list[Arguments]:
        """The sets of a whole recipe: batch 3, 5 and 2, floating inputs at its scales."""
        sets = [self._scaled_set(recipe, i) for i in range(recipe.inputs)]
        first = {path: leaf.shape for path, leaf in sets[0].leaves().items()}
        if len(sets) > 1 and all(
            leaf.shape == first[path] for other in sets[1:] for path, leaf in other.leaves().items()
        ):
            self.notes.append(SAME_SIZE)
        return sets

    def _scaled_set(self, recipe: Recipe, index: int) -> Arguments:
        batches = batch_shapes(self.inputs.first.leaves(), [recipe.batch(index)])
        scale = recipe.scale(index)
        for shapes in batches:
            for factor in dict.fromkeys((scale, 1.0)):
                arguments = self._drawn(shapes, index, factor)
                if self._accepts(arguments, finite=factor != 1.0):
                    return arguments
        arguments = self._drawn({}, index, scale)
        if scale != 1.0 and not self._accepts(arguments, finite=True):
            return self._drawn({}, index, 1.0)
        return arguments

    def _drawn(self, shapes: Mapping[str, Shape], index: int, scale: float) -> Arguments:
        """Set `index`; the first keeps the values that the arguments came with as far as it can."""
        own = self.own
        smaller = all(
            a <= b for path, s in shapes.items() for a, b in zip(s, own[path], strict=True)
        )
        if index == 0 and smaller:
            return self.inputs.first.mapped(lambda p, t: resized(t, shapes.get(p, tuple(t.shape))))
        key = (self.runner.seed, index)
        return other_set(self.inputs, shapes, key, turn=index, scale=scale)

    def _accepts(self, arguments: Arguments, *, finite: bool = False) -> bool:
        """Whether the source runs on `arguments`, in train mode too; with finite outputs if asked."""
        modes = ("eval", "train") if self.runner.program.is_class else ("eval",)
        try:
            runs = [self.runner.forward(self.weights, arguments, "float32", mode=m) for m in modes]
        except StepError:
            return False
        return not (finite and has_nonfinite(runs[0].leaves))

    def resized(
        self,
        sets: list[Arguments],
        variations: Sequence[Variation],
        key: object = "resize",
        known: Sequence[Shapes] = (),
    ) -> Iterator[tuple[Arguments, Run]]:
        """Sets of other sizes than `sets` and `known` that the source accepts, with their runs.

        The axes in which `sets` differ are those of the batch.
        """
        seen = [*map(shapes_of, sets), *known]
        fixed: set[Axis] = set()
        for turn, variation in enumerate(variations):
            search = SizeSearch(self, seen[0], _batch_axes(sets), variation, (key, turn), fixed)
            found = search.run()
            if found is not None and search.shapes not in seen:
                seen.append(search.shapes)
                yield found


def shapes_of(arguments: Arguments) -> Shapes:
    """The shapes of all tensors by path."""
    return {path: tuple(leaf.shape) for path, leaf in arguments.leaves().items()}


def _batch_axes(sets: list[Arguments]) -> set[Axis]:
    """The axes in which the sets differ."""
    first, *others = map(shapes_of, sets)
    return {
        (path, axis)
        for other in others
        for path, shape in first.items()
        for axis, size in enumerate(shape)
        if other[path][axis] != size
    }


def replaced(shapes: Shapes, axes: set[Axis], size: int) -> Shapes:
    """`shapes` with another size in all of `axes`."""
    return {
        path: tuple(size if (path, axis) in axes else old for axis, old in enumerate(shape))
        for path, shape in shapes.items()
    }


@dataclass
class SizeSearch:
    """Looks for other sizes of each axis in turn, keeping what the source accepts.

    `fixed` has the axes that no size was accepted for, which later searches leave alone.
    """

    chooser: Chooser
    shapes: Shapes
    batch: set[Axis]
    variation: Variation
    key: object
    fixed: set[Axis]
    tries: int = 0
    found: tuple[Arguments, Run] | None = None

    def run(self) -> tuple[Arguments, Run] | None:
        """The arguments found and their run; None where the source accepts nothing else."""
        limit = MAX_GROWTH * self._elements(self.shapes)
        if self.batch:
            self._try(replaced(self.shapes, self.batch, self.variation.batch))
        for size, axes in self._groups().items():
            if axes & self.fixed:
                continue
            alone = {(path, axis) for path, axis in axes if axis == len(self.shapes[path]) - 1}
            choices = [alone, axes] if self.variation.alone and alone else [axes]
            tries = (
                replaced(self.shapes, choice, other)
                for choice in choices
                for other in self.variation.others(size)
            )
            if not any(self._elements(shapes) <= limit and self._try(shapes) for shapes in tries):
                self.fixed |= axes
        return self.found

    def _groups(self) -> dict[int, set[Axis]]:
        """Axes that change together, by their size; the last axes come first."""
        groups: dict[int, set[Axis]] = {}
        for path, shape in self.shapes.items():
            for axis in reversed(range(len(shape))):
                if (path, axis) not in self.batch and shape[axis] > 1:
                    groups.setdefault(shape[axis], set()).add((path, axis))
        return groups

    def _try(self, shapes: Shapes) -> bool:
        self.tries += 1
        if self.tries > MAX_TRIES:
            return False
        chooser = self.chooser
        seed = (chooser.runner.seed, self.key)
        arguments = other_set(chooser.inputs, shapes, seed, turn=self.variation.batch)
        try:
            run = chooser.runner.forward(chooser.weights, arguments, "float64")
        except (StepError, MemoryError):
            return False
        if has_nonfinite(run.leaves):
            return False
        self.shapes, self.found = shapes, (arguments, run)
        return True

    @staticmethod
    def _elements(shapes: Shapes) -> int:
        return sum(map(math.prod, shapes.values()))
