"""Random draws of the source, replayed in the candidate.

The streams of the two frameworks are never compared. What the source drew in a case was
recorded in order; while the candidate is traced for that case, each of its draws takes the
next recorded one, which must be of the same kind and shape (`ferry.check.bridge`). That is
sound only where what is traced once also runs once: a draw inside of `scan`, `vmap`, `while_loop`
or a `jit` of the candidate's own is not replayed, see `NotReplayable`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import jax
import jax.extend
import jax.numpy as jnp
from flax import nnx

from ferry.check.bridge import drawn_shape, take
from ferry.check.errors import DrawsDiffer, NotReplayable
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

#: What people call the arguments that decide a distribution.
NAMES = {"p": "probability"}


class Replay:
    """The recorded draws of one case, handed out in order."""

    def __init__(
        self, recorded: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, Any]]
    ) -> None:
        """`values` has the arrays of each draw; see `ferry.check.bridge.take`."""
        self._recorded = recorded
        self._values = values
        self._trace: Any = None
        self.drawn: list[Json] = []
        self.asked: dict[str, Any] = {}

    def start(self) -> None:
        """Called in the trace that the candidate's call runs in."""
        self._trace = current_trace()

    def draw(self, kind: str, call: inspect.BoundArguments) -> Any:
        """The value of the candidate's next draw."""
        if current_trace() != self._trace:
            raise NotReplayable(kind)
        call.apply_defaults()
        given = call.arguments
        shape = drawn_shape(kind, given)
        self.drawn.append({"op": kind, "shape": list(shape)})
        number, known = len(self.drawn), len(self._recorded)
        if number > known:
            raise DrawsDiffer(f"draw {number} ({kind} {shape}): the source draws {known} times")
        recorded = self._recorded[number - 1]
        taken = take(recorded, self._values[number - 1], kind, given)
        if taken is None:
            raise DrawsDiffer(
                f"draw {number}: the candidate draws {kind} {shape}, "
                f"the source {recorded['op']} {tuple(recorded['shape'])}"
            )
        params = recorded.get("params") or {}
        for name, own in taken.asked.items():
            _check_number(number, name, own, params.get(name))
            shape = recorded.get("asked", {}).get(name, ())
            self.asked[f"draw/{number - 1}/{name}"] = _comparable(own, shape, params.get(name))
        return taken.value

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
        replay.start()
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


def current_trace() -> Any:
    """What tells the innermost transformation that is being traced from any other."""
    core: Any = jax.extend.core
    return core.get_opaque_trace_state(convention="nnx")


def _check_number(number: int, name: str, own: Any, recorded: Any) -> None:
    """A replayed value must have been asked for with the source's numbers."""
    known = isinstance(own, (int, float)) and isinstance(recorded, (int, float))
    if known and abs(own - recorded) > 1e-6 * max(1.0, abs(recorded)):
        shown = NAMES.get(name, name)
        raise DrawsDiffer(f"draw {number}: its {shown} is {own}, the source's {recorded}")


def _comparable(own: Any, shape: Sequence[int], recorded: Any) -> Any:
    """What was asked for as an array of the source's shape, where it can have that.

    Where the source asks with one number, it is the element that is farthest from it.
    """
    own = jnp.asarray(own, float)
    if own.ndim > 0 and not shape:
        flat = own.reshape(-1)
        return flat[jnp.argmax(jnp.abs(flat - (recorded or 0)))]
    fits = own.ndim <= len(shape) and all(
        mine in (1, theirs) for mine, theirs in zip(own.shape[::-1], shape[::-1], strict=False)
    )
    return jnp.broadcast_to(own, shape) if fits else own
