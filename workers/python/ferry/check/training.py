"""Steps of an optimizer on a candidate's own variables, by torch's conventions.

Only `nnx.Param` is trained, as users of flax do it. torch leaves a parameter alone in a step
whose loss does not reach it (its gradient is None), weight decay and momentum included, where
the gradient of jax is zeros. `Reached` tells the two apart, so each parameter has an optimizer
state of its own, which advances only when it was reached. A parameter that holds what the source
does not train has no such counterpart: it is trained in every step, as users would train it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from ferry.check.compiling import compile_for
from ferry.check.weight_ops import Way
from ferry.check.weights import Entry
from ferry.step import StepError

Arrays = dict[str, Any]

#: A variable, and the source's tensor where it is trained through its parts, else "".
Key = tuple[str, str]


def optimizer(recipe: Mapping[str, Any]) -> optax.GradientTransformation:
    """torch's SGD (decay added to the gradient, undampened momentum) or AdamW."""
    rate, decay = recipe["lr"], recipe["weight_decay"]
    if recipe["name"] == "sgd":
        return optax.chain(
            optax.add_decayed_weights(decay),
            optax.trace(recipe["momentum"]),
            optax.scale(-rate),
        )
    if recipe["name"] == "adamw":
        first, second = recipe["betas"]
        return optax.adamw(rate, first, second, recipe["eps"], weight_decay=decay)
    raise StepError("result_invalid", f"the plan has an unknown optimizer {recipe['name']!r}")


class Reached:
    """Which variables a loss reaches by differentiable operations, found while it is traced."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def mark(self, values: Mapping[str, Any]) -> Arrays:
        """`values`; a gradient that flows to one of them puts its name among the reached."""
        return {name: self._mark(name, value) for name, value in values.items()}

    def _mark(self, name: str, value: Any) -> Any:
        @jax.custom_vjp
        def same(x: Any) -> Any:
            return x

        def backward(_: None, gradient: Any) -> tuple[Any]:
            self.names.add(name)
            return (gradient,)

        same.defvjp(lambda x: (x, None), backward)
        return same(value)


class Parts:
    """The source's parameters behind variables that hold sums or multiples of them.

    An optimizer moves a sum by other steps than its summands, so these variables are trained
    through their parts, as the source is: what else is compared then still means something.
    """

    def __init__(self, entries: Sequence[Entry], before: Mapping[str, Any]) -> None:
        """`before` has the values of the source's tensors at the start."""
        self.entries = {entry.to: entry for entry in entries}
        self.values = {
            (entry.to, source): before[source] for entry in entries for source in entry.sources
        }

    def gradients(self, target: str, gradient: Any) -> dict[Key, Any]:
        """The gradient of each part of a variable."""
        pulled = self.entries[target].pull(np.asarray(gradient), Way.ADJOINT)
        return {(target, source): part for source, part in pulled}

    def variable(self, target: str) -> Any:
        """The value of a variable from its parts."""
        entry = self.entries[target]
        return entry.push({s: np.asarray(self.values[target, s]) for s in entry.sources})


class Updates:
    """An optimizer's state for each parameter, and its compiled update.

    `compiled` keeps what was compiled for further trainings by the same recipe.
    """

    def __init__(self, recipe: Mapping[str, Any], parts: Parts, compiled: dict[Any, Any]) -> None:
        self._optimizer = optimizer(recipe)
        self._recipe = json.dumps(recipe, sort_keys=True)
        self._parts = parts
        self._states: dict[Key, Any] = {}
        self._compiled = compiled

    def apply(self, values: Arrays, gradients: Arrays, reached: Iterable[str]) -> Arrays:
        """`values` after one step along the gradients of those that were reached."""
        names = frozenset(reached)
        summed = sorted(names & self._parts.entries.keys())
        slopes: dict[Key, Any] = {(n, ""): gradients[n] for n in sorted(names - set(summed))}
        for name in summed:
            slopes.update(self._parts.gradients(name, gradients[name]))
        moving = {key: self._parts.values[key] if key[1] else values[key[0]] for key in slopes}
        self._step(list(slopes), moving, slopes)
        self._parts.values.update({key: value for key, value in moving.items() if key[1]})
        moved = {key[0]: value for key, value in moving.items() if not key[1]}
        return {**values, **moved, **{n: self._parts.variable(n) for n in summed}}

    def _step(self, keys: list[Key], moving: dict[Key, Any], slopes: dict[Key, Any]) -> None:
        """Move the values in `moving`, in place."""
        before = [moving[key] for key in keys]
        along = [slopes[key] for key in keys]
        known = self._key("update", before)
        if known not in self._compiled:
            self._compiled[known] = self._compile(before, along)
        new = [key for key in keys if key not in self._states]
        self._states.update(zip(new, self._fresh([moving[key] for key in new]), strict=True))
        states = [self._states[key] for key in keys]
        moved, states = self._compiled[known](before, along, states)
        moving.update(zip(keys, moved, strict=True))
        self._states.update(zip(keys, states, strict=True))

    def _fresh(self, values: list[Any]) -> list[Any]:
        """The state of parameters at their first step."""
        if not values:
            return []
        known = self._key("init", values)
        if known not in self._compiled:
            start = jax.jit(lambda values: [self._optimizer.init(value) for value in values])
            self._compiled[known] = compile_for(start.trace(values), 1)
        return list(self._compiled[known](values))

    def _key(self, what: str, values: list[Any]) -> tuple[Any, ...]:
        """Equal where one compiled function serves."""
        return what, self._recipe, *((tuple(v.shape), str(v.dtype)) for v in values)

    def _compile(self, values: list[Any], slopes: list[Any]) -> Any:
        def update(values: list[Any], slopes: list[Any], states: list[Any]) -> Any:
            moved, new = [], []
            for value, slope, state in zip(values, slopes, states, strict=True):
                change, after = self._optimizer.update(slope, state, value)
                moved.append(optax.apply_updates(value, change))
                new.append(after)
            return moved, new

        shapes = jax.eval_shape(lambda values: [self._optimizer.init(v) for v in values], values)
        return compile_for(jax.jit(update).trace(values, slopes, shapes), 3)
