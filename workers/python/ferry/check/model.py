"""The candidate's module inside a trace: built, filled with given variables, switched.

A module is built anew in every trace, by its own constructor, and then its variables are
replaced. So nothing of it ever exists outside a trace (building eagerly costs seconds of
one-operation compiles), arrays that a constructor computes are what they are for users, random
streams exist, and state may be written under `jax.grad`. The values the constructor draws for
variables are dead code that the compiler drops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, get_args
from unittest import mock

import jax
from flax import nnx
from flax.nnx import graphlib

from ferry.check.precision import is_floating, precision
from ferry.check.weight_ops import Shape
from ferry.deliver.bundle.load_weights import dotted
from ferry.step import StepError

Construct = Callable[[], Any]


def traced_arrays_are_data() -> AbstractContextManager[Any]:
    """Make flax treat an array that a constructor computes in a trace as it does a real one.

    It asks whether an attribute is a leaf with a `typing.Union`, which looks at the class of a
    traced array and so misses that it is a `jax.Array`; a tuple of the same types asks the array.
    """
    return mock.patch.object(graphlib, "LeafType", get_args(graphlib.LeafType))


def variables(model: Any) -> dict[str, nnx.Variable[Any]]:
    """The variables that a map fills, each once, by dotted path: all but random streams."""
    return {
        dotted(path): node
        for path, node in nnx.iter_graph(model)
        if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState)
    }


def aliases(model: Any) -> dict[str, str]:
    """Further paths of shared variables, with the path that `variables` gives."""
    known = variables(model)
    found: dict[str, str] = {}
    for paths in nnx.find_duplicates(model, only=nnx.Variable):
        names = [dotted(path) for path in paths]
        first = next((name for name in names if name in known), None)
        if first is not None:
            found.update({name: first for name in names if name != first})
    return found


@dataclass(frozen=True)
class Blueprint:
    """A module that can be built: how, and what variables it has."""

    construct: Construct
    #: Of the variables, in the order in which the constructor assigns them.
    shapes: dict[str, Shape]
    aliases: dict[str, str]
    #: The variables that an optimizer of flax users would train.
    trained: set[str]
    #: Whether the model says which of its variables are trained.
    declares: bool


def blueprint(construct: Construct) -> Blueprint:
    """Build once without computing; a constructor that needs values of arrays gets them."""
    try:
        return _traced(construct)
    except jax.errors.JAXTypeError:  # what jax raises where a value is needed
        return _traced(_computing(construct))


def _traced(construct: Construct) -> Blueprint:
    other_names: dict[str, str] = {}
    trained: set[str] = set()
    order: list[str] = []
    declares: list[bool] = []

    def build() -> dict[str, Any]:
        model = construct()
        declares.append(getattr(model, "declares_trained", True))
        other_names.update(aliases(model))
        trained.update(_trained(model))
        order.extend(_definition_order(model))
        return {name: variable.get_value() for name, variable in variables(model).items()}

    with precision("float32"):
        shapes = jax.eval_shape(build)
    found = {name: tuple(shapes[name].shape) for name in order}
    return Blueprint(construct, found, other_names, trained, declares[-1])


def _definition_order(model: Any) -> list[str]:
    """The names of the variables in the order of assignment; nnx itself goes by the alphabet."""
    nodes = dict(nnx.iter_graph(model))

    def place(path: tuple[Any, ...]) -> list[int]:
        return [_number(nodes.get(path[:i]), part) for i, part in enumerate(path)]

    known = variables(model)
    paths = [path for path in nodes if dotted(path) in known]
    return [dotted(path) for path in sorted(paths, key=place)]


def _trained(model: Any) -> set[str]:
    return {
        name
        for name, variable in variables(model).items()
        if isinstance(variable, nnx.Param) and is_floating(variable.get_value().dtype)
    }


def _number(node: Any, part: Any) -> int:
    """The place of `part`, an attribute or an index, in `node`."""
    if isinstance(part, int):
        return part
    parts = list(node if isinstance(node, Mapping) else getattr(node, "__dict__", ()))
    return parts.index(part) if part in parts else 0


def _computing(construct: Construct) -> Construct:
    """`construct` outside of the trace, which compiles each operation; its result within it."""

    def build() -> Any:
        with jax.ensure_compile_time_eval():
            model = construct()
        return nnx.merge(*nnx.split(model), copy=True)

    return build


def filled(construct: Construct, values: Mapping[str, Any], mode: str) -> Any:
    """A new module with `values` in its variables, in ``train`` or ``eval`` mode."""
    model = construct()
    for name, variable in variables(model).items():
        variable.set_value(values[name])
        if variable.get_value() is not values[name]:
            message = f"{name} does not hold the value that it was given"
            raise StepError("candidate_error", message, why="variable_changes_value")
    if mode == "train":
        model.train()
    else:
        model.eval()
    return model


def renew_streams(model: Any, seed: Any) -> None:
    """Give each random stream of a model another key that follows from its own and `seed`.

    Streams that share a key still do, so that masks which are equal by mistake stay equal.
    """
    for _, node in nnx.iter_graph(model):
        if isinstance(node, nnx.RngKey):
            keys = node.get_value()
            flat = jax.vmap(lambda key: jax.random.fold_in(key, seed))(keys.reshape(-1))
            node.set_value(flat.reshape(keys.shape))
