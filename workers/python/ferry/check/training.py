"""Steps of an optimizer on a candidate's own variables, by torch's conventions.

Only `nnx.Param` is trained, as users of flax do it. torch leaves a parameter alone in a step
whose loss does not reach it (its gradient is None), weight decay and momentum included, where
the gradient of jax is zeros. `Reached` tells the two apart, so each parameter has an optimizer
state of its own, which advances only when it was reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import optax

from ferry.check.compiling import compile_for
from ferry.step import StepError

Arrays = dict[str, Any]


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


class Updates:
    """An optimizer's state for each variable, and its compiled update."""

    def __init__(self, recipe: Mapping[str, Any]) -> None:
        self._optimizer = optimizer(recipe)
        self._states: dict[str, Any] = {}
        self._compiled: dict[frozenset[str], Any] = {}

    def apply(self, values: Arrays, gradients: Arrays, reached: Iterable[str]) -> Arrays:
        """`values` after one step along the gradients of those that were reached."""
        names = frozenset(reached)
        moving = {name: values[name] for name in sorted(names)}
        slopes = {name: gradients[name] for name in moving}
        if names not in self._compiled:
            self._compiled[names] = self._compile(moving, slopes)
        states = {name: self._states.get(name) for name in moving}
        first = {name: state is None for name, state in states.items()}
        fresh = self._fresh(moving) if any(first.values()) else {}
        states = {n: fresh[n] if first[n] else s for n, s in states.items()}
        moved, new = self._compiled[names](moving, slopes, states)
        self._states.update(new)
        return {**values, **moved}

    def _fresh(self, moving: Arrays) -> dict[str, Any]:
        start = jax.jit(lambda m: {n: self._optimizer.init(v) for n, v in m.items()})
        made: dict[str, Any] = compile_for(start.trace(moving), 1)(moving)
        return made

    def _compile(self, moving: Arrays, slopes: Arrays) -> Any:
        def update(values: Arrays, slopes: Arrays, states: dict[str, Any]) -> tuple[Arrays, Any]:
            moved, new = {}, {}
            for name, value in values.items():
                change, new[name] = self._optimizer.update(slopes[name], states[name], value)
                moved[name] = optax.apply_updates(value, change)
            return moved, new

        shapes = jax.eval_shape(
            lambda m: {n: self._optimizer.init(v) for n, v in m.items()}, moving
        )
        return compile_for(jax.jit(update).trace(moving, slopes, shapes), 3)
