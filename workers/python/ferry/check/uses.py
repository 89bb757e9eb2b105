"""How a port's program uses its variables: in which order, and what each axis is for.

No name and no shape tells whether a square kernel is multiplied from the left or from the right;
the program does. Each variable is followed through what only moves its elements (transpose,
reshape, slices, casts) to where it is first multiplied, convolved or indexed. An axis that is
summed over there is an `IN`, one that stays is an `OUT`, one that a window slides along a `SPACE`,
and one that integers pick from an `INDEX`.

What is found here guides which maps are tried first (`ferry.check.infer`); it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
from jax.extend import core

from ferry.check.model import Construct, filled, variables
from ferry.check.precision import precision

IN, OUT, SPACE, INDEX = "in", "out", "space", "index"

#: Axes of a variable that one axis of a value runs along: none, one, or several merged.
Axes = tuple[int, ...]


@dataclass
class Use:
    """Where a variable is first used, the roles of its axes, and whether a kernel is flipped."""

    order: int
    roles: dict[int, str] = field(default_factory=dict)
    flipped: bool | None = None


@dataclass(frozen=True)
class _View:
    """A value that holds elements of one variable; `axes` has an entry per axis of the value."""

    name: str
    axes: tuple[Axes, ...]
    #: The axes of the variable along which it is reversed.
    flipped: frozenset[int] = frozenset()

    def laid(self, axes: Iterable[Axes]) -> _View:
        """The same elements along other axes."""
        return _View(self.name, tuple(axes), self.flipped)


Views = Sequence[_View | None]


def uses_of(
    construct: Construct, call: Callable[[Any, Mapping[str, Any]], Any], inputs: Mapping[str, Any]
) -> dict[str, Use]:
    """The uses of the variables of a model that `construct` builds, in a `call` on `inputs`."""

    def values() -> dict[str, Any]:
        return {name: v.get_value() for name, v in variables(construct()).items()}

    def run(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        return call(filled(construct, weights, "eval"), inputs)

    with precision("float32"):
        shapes = jax.eval_shape(values)
        return uses(jax.make_jaxpr(run)(shapes, dict(inputs)), sorted(shapes))


def uses(program: core.ClosedJaxpr, names: Sequence[str]) -> dict[str, Use]:
    """The uses of the first inputs of `program`, which are the variables `names`."""
    walk = _Walk()
    ranks = [len(variable.aval.shape) for variable in program.jaxpr.invars[: len(names)]]
    views = [
        _View(name, tuple((axis,) for axis in range(rank)))
        for name, rank in zip(names, ranks, strict=True)
    ]
    rest = len(program.jaxpr.invars) - len(names)
    walk.run(program.jaxpr, [*views, *[None] * rest])
    return walk.found


class _Walk:
    """One pass over a program and the programs inside of it, in order of execution."""

    def __init__(self) -> None:
        self.found: dict[str, Use] = {}
        self._count = 0

    def run(self, jaxpr: core.Jaxpr, inputs: Views) -> Views:
        """Follow views through `jaxpr`; the views that its outputs are."""
        known = dict(zip(jaxpr.invars, inputs, strict=True))

        def view(atom: Any) -> _View | None:
            return None if isinstance(atom, core.Literal) else known.get(atom)

        for equation in jaxpr.eqns:
            self._count += 1
            views = [view(atom) for atom in equation.invars]
            if any(views):
                known.update(zip(equation.outvars, self._equation(equation, views), strict=False))
        return [view(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, views: Views) -> Views:
        """The views that the results of one equation are."""
        name = equation.primitive.name
        if name in _MOVES and views[0] is not None:
            return [_MOVES[name](views[0], equation)]
        inner = _inner(equation, views)
        if inner is not None:
            jaxpr, inputs, gives_back = inner
            outputs = self.run(jaxpr, inputs)
            return outputs if gives_back else []
        roles = _ROLES.get(name)
        for position, view in enumerate(views):
            if view is not None:
                self._use(view, roles(equation, position) if roles else [], name)
        return self._kept(equation, views)

    def _use(self, view: _View, roles: Iterable[tuple[int, str]], name: str) -> None:
        use = self.found.setdefault(view.name, Use(self._count))
        for axis, role in roles:
            for own in view.axes[axis]:
                use.roles.setdefault(own, role)
        if name == "conv_general_dilated" and use.flipped is None:
            use.flipped = bool(view.flipped)

    @staticmethod
    def _kept(equation: Any, views: Views) -> Views:
        """A variable that is scaled or shifted by what is no variable is still there."""
        (first, *more) = [view for view in views if view is not None]
        shapes = [getattr(out.aval, "shape", None) for out in equation.outvars]
        same = [len(shape or ()) == len(first.axes) for shape in shapes]
        plain = equation.primitive.name in _ELEMENTWISE and not more
        return [first if plain and fits else None for fits in same]


def _transposed(view: _View, equation: Any) -> _View:
    return view.laid(view.axes[axis] for axis in equation.params["permutation"])


def _reversed(view: _View, equation: Any) -> _View:
    turned = {own for axis in equation.params["dimensions"] for own in view.axes[axis]}
    return _View(view.name, view.axes, view.flipped ^ turned)


def _spread(view: _View, equation: Any) -> _View:
    axes: list[Axes] = [()] * len(equation.outvars[0].aval.shape)
    for own, axis in zip(view.axes, equation.params["broadcast_dimensions"], strict=True):
        axes[axis] = own
    return view.laid(axes)


def _squeezed(view: _View, equation: Any) -> _View:
    gone = equation.params["dimensions"]
    return view.laid(own for axis, own in enumerate(view.axes) if axis not in gone)


def _reshaped(view: _View, equation: Any) -> _View:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    axes: list[Axes] = [()] * len(after)
    for olds, news in factors(before, after):
        merged = tuple(own for old in olds for own in view.axes[old])
        for new in news:
            axes[new] = merged
    return view.laid(axes)


def _same(view: _View, equation: Any) -> _View:
    return view


def factors(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The axes of two shapes of one size in groups of equal products, axes of one left out."""
    found: list[tuple[list[int], list[int]]] = []
    olds = [axis for axis, size in enumerate(before) if size != 1]
    news = [axis for axis, size in enumerate(after) if size != 1]
    while olds and news:
        group = ([olds.pop(0)], [news.pop(0)])
        left, right = before[group[0][0]], after[group[1][0]]
        while left != right:
            if left < right and olds:
                group[0].append(olds.pop(0))
                left *= before[group[0][-1]]
            elif news:
                group[1].append(news.pop(0))
                right *= after[group[1][-1]]
            else:
                return found
        found.append(group)
    return found


#: What only moves elements.
_MOVES: Mapping[str, Callable[[_View, Any], _View]] = {
    "transpose": _transposed,
    "rev": _reversed,
    "broadcast_in_dim": _spread,
    "squeeze": _squeezed,
    "reshape": _reshaped,
    **dict.fromkeys(
        ("convert_element_type", "copy", "slice", "dynamic_slice", "optimization_barrier"), _same
    ),
}

#: What leaves a variable's elements in place and changes each by itself.
_ELEMENTWISE = frozenset({"mul", "div", "neg", "exp", "integer_pow", "stop_gradient", "tanh"})


def _dot_roles(equation: Any, position: int) -> list[tuple[int, str]]:
    contracted, batch = equation.params["dimension_numbers"]
    rank = len(equation.invars[position].aval.shape)
    stays = [a for a in range(rank) if a not in contracted[position] and a not in batch[position]]
    return [*((axis, IN) for axis in contracted[position]), *((axis, OUT) for axis in stays)]


def _conv_roles(equation: Any, position: int) -> list[tuple[int, str]]:
    if position != 1:
        return []
    out, into, *space = equation.params["dimension_numbers"].rhs_spec
    return [(out, OUT), (into, IN), *((axis, SPACE) for axis in space)]


def _gather_roles(equation: Any, position: int) -> list[tuple[int, str]]:
    if position != 0:
        return []
    indexed = equation.params["dimension_numbers"].start_index_map
    rank = len(equation.invars[0].aval.shape)
    return [(axis, INDEX if axis in indexed else OUT) for axis in range(rank)]


_ROLES: Mapping[str, Callable[[Any, int], list[tuple[int, str]]]] = {
    "dot_general": _dot_roles,
    "conv_general_dilated": _conv_roles,
    "gather": _gather_roles,
}


def _inner(equation: Any, views: Views) -> tuple[core.Jaxpr, Views, bool] | None:
    """The program inside of an equation, the views of its inputs, and whether its outputs are
    those of the equation."""
    params, name = equation.params, equation.primitive.name
    if name == "scan":
        first = params["num_consts"] + params["num_carry"]
        rows = [view and view.laid(view.axes[1:]) for view in views[first:]]
        return params["jaxpr"].jaxpr, [*views[:first], *rows], False
    if name == "while":
        consts = views[params["cond_nconsts"] :]
        return params["body_jaxpr"].jaxpr, consts, False
    if name == "cond":
        return params["branches"][-1].jaxpr, views[1:], False
    for value in params.values():
        program = value.jaxpr if isinstance(value, core.ClosedJaxpr) else value
        if isinstance(program, core.Jaxpr) and len(program.invars) == len(views):
            return program, views, True
    return None
