"""Random draws of the source, replayed in the candidate.

The streams of the two frameworks are never compared. What the source drew in a case was
recorded in order; while the candidate is traced for that case, each of its draws takes the
next recorded one, which must be of the same kind and shape.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.check.errors import DrawsDiffer
from ferry.step import Json

#: Functions of `jax.random` that draw from a distribution.
DRAWS = (
    "ball", "bernoulli", "beta", "binomial", "categorical", "cauchy", "chisquare", "choice",
    "dirichlet", "double_sided_maxwell", "exponential", "f", "gamma", "generalized_normal",
    "geometric", "gumbel", "laplace", "loggamma", "logistic", "lognormal", "maxwell",
    "multinomial", "multivariate_normal", "normal", "orthogonal", "pareto", "permutation",
    "poisson", "rademacher", "randint", "rayleigh", "t", "triangular", "truncated_normal",
    "uniform", "wald", "weibull_min",
)  # fmt: skip


class Replay:
    """The recorded draws of one case, handed out in order."""

    def __init__(self, recorded: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> None:
        self._recorded = recorded
        self._values = values
        self.drawn: list[Json] = []

    def draw(self, kind: str, call: inspect.BoundArguments) -> Any:
        """The value of the candidate's next draw."""
        call.apply_defaults()
        given = call.arguments
        shape = _shape(kind, given)
        self.drawn.append({"op": kind, "shape": list(shape)})
        number, known = len(self.drawn), len(self._recorded)
        if number > known:
            raise DrawsDiffer(f"draw {number} ({kind} {shape}): the source draws {known} times")
        recorded = self._recorded[number - 1]
        if recorded["op"] != kind or tuple(recorded["shape"]) != shape:
            raise DrawsDiffer(
                f"draw {number}: the candidate draws {kind} {shape}, "
                f"the source {recorded['op']} {tuple(recorded['shape'])}"
            )
        params = recorded.get("params") or {}
        if kind == "bernoulli":
            _check_probability(number, given["p"], params.get("p"))
        return _value(kind, given, params, self._values[number - 1])

    def finish(self) -> None:
        """Every recorded draw must have been taken."""
        number, known = len(self.drawn), len(self._recorded)
        if number < known:
            raise DrawsDiffer(f"the candidate draws {number} times, the source {known}")


class RandomHooks:
    """Replacements for the drawing functions of jax and flax; transparent until replaying.

    They must be in place before the candidate is imported, so that names it imports from
    `jax.random` are replayed too.
    """

    def __init__(self) -> None:
        self._replay: Replay | None = None
        self._stack = ExitStack()

    def install(self) -> None:
        """Put the hooks in place."""
        for kind in DRAWS:
            hook = self._hook(kind, getattr(jax.random, kind))
            self._stack.enter_context(mock.patch.object(jax.random, kind, hook))
            for owner in (nnx.RngStream, nnx.Rngs):
                if hasattr(owner, kind):
                    self._stack.enter_context(mock.patch.object(owner, kind, _method(hook)))

    def uninstall(self) -> None:
        """Take them away again."""
        self._stack.close()

    @contextmanager
    def replaying(self, replay: Replay, whole: bool = True) -> Iterator[None]:
        """Hand out the draws of `replay`, and check at the end that none is left of the whole."""
        self._replay = replay
        try:
            yield
        finally:
            self._replay = None
        if whole:
            replay.finish()

    def _hook(self, kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def draw(*args: Any, **kwargs: Any) -> Any:
            if self._replay is None:
                return original(*args, **kwargs)
            return self._replay.draw(kind, signature.bind(*args, **kwargs))

        return draw


def _method(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook as a method of `nnx.Rngs`, which makes its own keys."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return hook(self(), *args, **kwargs)

    return method


def _shape(kind: str, given: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of the values that a call draws."""
    if kind == "permutation":
        length = given["x"] if isinstance(given["x"], int) else given["x"].shape[given["axis"]]
        return (length,)
    shape = given.get("shape", ())
    if shape is None:
        shape = jnp.shape(given.get("p", given.get("logits", ())))
        shape = shape[:-1] if kind == "categorical" else shape
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _check_probability(number: int, own: Any, recorded: Any) -> None:
    """A replayed mask must have been asked for with the source's probability."""
    known = isinstance(own, (int, float)) and isinstance(recorded, (int, float))
    if known and abs(own - recorded) > 1e-6:
        raise DrawsDiffer(f"draw {number}: its probability is {own}, the source's {recorded}")


def _value(kind: str, given: Mapping[str, Any], params: Mapping[str, Any], value: Any) -> Any:
    """The recorded value as the candidate's call would return it."""
    if kind == "bernoulli":
        return jnp.asarray(value, bool)
    if kind == "permutation":
        order = jnp.asarray(value, int)
        return order if isinstance(given["x"], int) else jnp.take(given["x"], order, given["axis"])
    value = jnp.asarray(value, given.get("dtype") or float)
    if kind == "uniform":
        return _rescale(value, _span(params, "low", 0), _span(params, "high", 1),
                        given["minval"], given["maxval"])  # fmt: skip
    if kind == "normal":
        mean, std = _span(params, "mean", 0), _span(params, "std", 1)
        return _rescale(value, mean, mean + std, 0, 1)
    return value


def _span(params: Mapping[str, Any], name: str, default: float) -> float:
    value = params.get(name)
    return default if value is None else float(value)


def _rescale(value: Any, low: float, high: float, new_low: Any, new_high: Any) -> Any:
    """`value` of the range low..high in the range that the candidate asked for."""
    numbers = isinstance(new_low, (int, float)) and isinstance(new_high, (int, float))
    if numbers and (low, high) == (new_low, new_high):
        return value
    return (value - low) / (high - low) * (new_high - new_low) + new_low
