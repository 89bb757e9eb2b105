"""How a candidate's draw takes the value of a draw that the source made.

One table says which function of `jax.random` draws what a recorded operation of torch draws, how
the recorded value becomes its result, and which of its arguments decide the distribution. Those
arguments are handed back as ``draw/{n}/{name}`` and compared with the source's like any output,
since a replayed value alone would not show them. What enters the value itself (the range of a
uniform draw, a rate) needs no such comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

Given = Mapping[str, Any]
Params = Mapping[str, Any]
Shape = tuple[int, ...]
#: The recorded draw, the value it gave, and the arguments of the candidate's call.
Convert = Callable[[Params, Any, Given], Any]


@dataclass(frozen=True)
class Bridge:
    """How one function of `jax.random` stands for one recorded operation.

    `value` makes its result; `asked` maps the source's names of what decides the distribution to
    the names of its arguments.
    """

    value: Convert
    asked: Mapping[str, str]


@dataclass(frozen=True)
class Taken:
    """The result of a candidate's call, and what it asked for by the source's names."""

    value: Any
    asked: Mapping[str, Any]


def take(recorded: Mapping[str, Any], drawn: Mapping[str, Any], kind: str, given: Given) -> Any:
    """The `Taken` of a call of `jax.random.kind`, or None where it does not draw the same.

    `drawn` has the recorded arrays: ``values``, and ``gumbel`` of a choice by weights.
    """
    params, shape = recorded.get("params") or {}, tuple(recorded["shape"])
    if recorded["op"] in CHOICES:
        return CHOICES[recorded["op"]](params, shape, drawn, kind, given)
    bridge = ELEMENTWISE.get((recorded["op"], kind))
    if bridge is None or drawn_shape(kind, given) != shape:
        return None
    asked = {name: given[argument] for name, argument in bridge.asked.items()}
    return Taken(bridge.value(params, drawn["values"], given), asked)


def drawn_shape(kind: str, given: Given) -> Shape:
    """The shape of the values that a call draws."""
    if kind == "permutation":
        return (_length(given["x"], given["axis"]),)
    shape = given.get("shape", ())
    if shape is None:
        return _implied_shape(kind, given)
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _implied_shape(kind: str, given: Given) -> Shape:
    """The shape of a call that names none: that of its parameters together."""
    if kind == "categorical":
        return _without(jnp.shape(given["logits"]), given["axis"])
    parameters = ("p", "lam", "a", "n", "alpha", "sigma")
    shape = jnp.broadcast_shapes(*(jnp.shape(given[name]) for name in parameters if name in given))
    return tuple(shape)


def _without(shape: Shape, axis: int) -> Shape:
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def _length(x: Any, axis: int) -> int:
    return int(x) if jnp.ndim(x) == 0 else int(x.shape[axis])


# ---- one value for each element ------------------------------------------------------------------


def _as_bool(params: Params, value: Any, given: Given) -> Any:
    return jnp.asarray(value, bool)


def _as_asked(params: Params, value: Any, given: Given) -> Any:
    """The value in the dtype that was asked for."""
    dtype = given.get("dtype")
    return jnp.asarray(value) if dtype is None else jnp.asarray(value, dtype)


def _as_integers(params: Params, value: Any, given: Given) -> Any:
    return jnp.asarray(value, given.get("dtype") or int)


def _uniform(params: Params, value: Any, given: Given) -> Any:
    """From the source's range to the candidate's."""
    low, high = _number(params, "low", 0), _number(params, "high", 1)
    new_low, new_high = given["minval"], given["maxval"]
    value = _as_asked(params, value, given)
    numbers = isinstance(new_low, (int, float)) and isinstance(new_high, (int, float))
    if numbers and (low, high) == (new_low, new_high):
        return value
    return (value - low) / (high - low) * (new_high - new_low) + new_low


def _standard(location: str, scale: str) -> Convert:
    """Without the location and the scale that the source drew with."""

    def value(params: Params, value: Any, given: Given) -> Any:
        value = _as_asked(params, value, given)
        middle, width = params.get(location), params.get(scale)
        if middle in (None, 0) and width in (None, 1):
            return value
        return (value - (middle or 0)) / (1 if width is None else width)

    return value


def _exponential(params: Params, value: Any, given: Given) -> Any:
    """At the rate 1."""
    return _as_asked(params, value, given) * _number(params, "lambd", 1)


def _gumbel(params: Params, value: Any, given: Given) -> Any:
    """-log of an exponential draw."""
    return -jnp.log(_exponential(params, value, given))


def _log_of_normal(params: Params, value: Any, given: Given) -> Any:
    value = jnp.log(_as_asked(params, value, given))
    return (value - _number(params, "mean", 1)) / _number(params, "std", 2)


def _log_normal(params: Params, value: Any, given: Given) -> Any:
    return jnp.exp(_log_of_normal(params, value, given) * given["sigma"])


def _number(params: Params, name: str, default: float) -> float:
    value = params.get(name)
    return default if value is None else float(value)


#: The recorded operation and the function of `jax.random` that draws it.
ELEMENTWISE: dict[tuple[str, str], Bridge] = {
    ("bernoulli", "bernoulli"): Bridge(_as_bool, {"p": "p"}),
    ("uniform", "uniform"): Bridge(_uniform, {}),
    ("normal", "normal"): Bridge(_standard("mean", "std"), {}),
    ("randint", "randint"): Bridge(_as_integers, {"low": "minval", "high": "maxval"}),
    ("exponential", "exponential"): Bridge(_exponential, {}),
    ("exponential", "gumbel"): Bridge(_gumbel, {}),
    ("log_normal", "lognormal"): Bridge(_log_normal, {}),
    ("log_normal", "normal"): Bridge(_log_of_normal, {}),
    ("cauchy", "cauchy"): Bridge(_standard("median", "sigma"), {}),
    ("geometric", "geometric"): Bridge(_as_integers, {"p": "p"}),
    ("poisson", "poisson"): Bridge(_as_integers, {"rate": "lam"}),
    ("binomial", "binomial"): Bridge(_as_asked, {"count": "n", "prob": "p"}),
    ("gamma", "gamma"): Bridge(_as_asked, {"alpha": "a"}),
}


# ---- choices of indices --------------------------------------------------------------------------


def _permutation(
    params: Params, shape: Shape, drawn: Mapping[str, Any], kind: str, given: Given
) -> Taken | None:
    """An order of n things, or the first k of it without replacement."""
    order = jnp.asarray(drawn["values"], int)
    if kind == "permutation" and not given["independent"] and drawn_shape(kind, given) == shape:
        x = given["x"]
        return Taken(order if jnp.ndim(x) == 0 else jnp.take(x, order, given["axis"]), {})
    if kind != "choice" or given["replace"] or given["p"] is not None:
        return None
    wanted = drawn_shape(kind, given)
    if (_length(given["a"], given["axis"]),) != shape or len(wanted) != 1 or wanted[0] > shape[0]:
        return None
    return Taken(_chosen(given, order[: wanted[0]]), {})


def _multinomial(
    params: Params, shape: Shape, drawn: Mapping[str, Any], kind: str, given: Given
) -> Taken | None:
    """Indices by weights. A single one may be drawn either way, several as the source does it."""
    indices = jnp.asarray(drawn["values"], int)
    replaced, single = bool(params.get("replacement")), shape[-1] == 1
    if kind == "gumbel":
        return _by_gumbel(drawn, given) if single or not replaced else None
    if not single and replaced != bool(given.get("replace")):
        return None
    if kind == "categorical":
        return _by_categorical(shape, indices, given)
    if kind != "choice" or len(shape) != 1 or given["p"] is None:
        return None
    if math.prod(drawn_shape(kind, given)) != shape[0]:
        return None
    weights = given["p"] / jnp.sum(given["p"])
    return Taken(_chosen(given, indices.reshape(drawn_shape(kind, given))), {"weights": weights})


def _by_categorical(shape: Shape, indices: Any, given: Given) -> Taken | None:
    """`categorical` puts the samples before the batch; where logits have an axis for them, there."""
    logits = jnp.moveaxis(given["logits"], given["axis"], -1)
    batch, wanted = shape[:-1], drawn_shape("categorical", given)
    weights = jax.nn.softmax(logits)
    if logits.shape[:-1] == batch and wanted == (shape[-1], *batch):
        return Taken(jnp.moveaxis(indices, -1, 0), {"weights": weights})
    if logits.shape[:-1] == batch and wanted == batch and shape[-1] == 1:
        return Taken(indices[..., 0], {"weights": weights})
    if logits.shape[:-1] == (*batch, 1) and wanted == shape:
        return Taken(indices, {"weights": weights[..., 0, :]})
    return None


def _by_gumbel(drawn: Mapping[str, Any], given: Given) -> Taken | None:
    """Noise that puts the source's choice first, by a hair, if the logits are the source's."""
    noise = drawn["gumbel"]
    if drawn_shape("gumbel", given) != noise.shape:
        return None
    return Taken(_as_asked({}, noise, given), {})


def _dirichlet(
    params: Params, shape: Shape, drawn: Mapping[str, Any], kind: str, given: Given
) -> Taken | None:
    """Vectors on the simplex; the shape that is asked for leaves out their axis."""
    batch = given.get("shape")
    batch = jnp.shape(given.get("alpha", ()))[:-1] if batch is None else tuple(batch)
    if kind != "dirichlet" or (*batch, jnp.shape(given["alpha"])[-1]) != shape:
        return None
    return Taken(_as_asked(params, drawn["values"], given), {"alpha": given["alpha"]})


def _chosen(given: Given, indices: Any) -> Any:
    """What `choice` gives for the indices of its pick."""
    a = given["a"]
    return indices if jnp.ndim(a) == 0 else jnp.take(a, indices, given["axis"])


#: Recorded operations whose values are not one for each element of the candidate's draw.
CHOICES: dict[str, Callable[..., Taken | None]] = {
    "permutation": _permutation,
    "multinomial": _multinomial,
    "dirichlet": _dirichlet,
}
