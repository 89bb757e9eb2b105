"""What a call leaves in its arguments, where the source's call leaves something there.

Lists and dicts can be written into by a candidate as by the source, so they are looked at after
the call. An array cannot: its new value is returned. Where the source returns None the updated
arguments are what is returned; else the entry says so by an attribute of its own,

    def step(x, cache): …
        return output, new_x
    step.updated_arguments = ("x",)

(a class has it among its attributes): the entry then returns its output and the new values of
the named arguments, in that order, wherever it is called. What is handed back in neither way is
not compared, and the daemon counts that as an assumption.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferry.check.trees import flatten_argument
from ferry.step import Json, StepError


@dataclass(frozen=True)
class Effects:
    """Which arguments the source's call writes into, and whether it returns anything else."""

    specs: Mapping[str, Json]
    alone: bool

    @classmethod
    def of(cls, case: Json) -> Effects | None:
        """The effects of a case of the plan."""
        written = case.get("arguments")
        if not written:
            return None
        specs = dict(zip(written["keys"], written["items"], strict=True))
        return cls(specs, alone=(case.get("output") or {}).get("t") == "none")


class Declared:
    """The arguments whose new values an entry says that it returns."""

    def __init__(self, target: Any) -> None:
        """`target` is the function, or the class whose call is meant."""
        self.names: tuple[str, ...] = tuple(getattr(target, "updated_arguments", ()))
        self._keys: dict[str, str] = {}
        if self.names:
            parameters = _parameters(target)
            for name in self.names:
                if name not in parameters:
                    message = f"updated_arguments names {name}, which is no argument"
                    raise StepError("candidate_error", message, why="updated_arguments")
            self._keys = {name: str(parameters.index(name)) for name in self.names}

    def split(self, value: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The output within a returned value, and new values by position or keyword."""
        if not self.names:
            return value, {}
        if not isinstance(value, tuple) or len(value) != 1 + len(self.names):
            message = f"with updated_arguments {len(self.names) + 1} values must be returned"
            raise StepError("candidate_error", message, why="updated_arguments")
        keys = (name if name in kwargs else self._keys[name] for name in self.names)
        return value[0], dict(zip(keys, value[1:], strict=True))


def _parameters(target: Any) -> list[str]:
    """The names of an entry's arguments, in order."""
    function: Callable[..., Any] = target
    if isinstance(target, type):
        function = vars(target).get("forward") or target.__call__
    names = list(inspect.signature(function).parameters)
    return names[1:] if isinstance(target, type) else names


def observed(
    effects: Effects | None,
    value: Any,
    updates: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[Any, Json | None, dict[str, Any]]:
    """The output, a map of the arguments that can be compared, and their tensors by path."""
    if effects is None:
        return value, None, {}
    new = {**updates}
    if effects.alone and value is not None and not updates:
        value, new = None, _returned(list(effects.specs), value)
    passed = {**{str(i): argument for i, argument in enumerate(args)}, **kwargs}
    keys, items, leaves = [], [], {}
    for key, spec in effects.specs.items():
        if key not in new and fixed(spec):
            continue
        described, own = flatten_argument(key, new.get(key, passed[key]))
        keys.append(key)
        items.append(described)
        leaves.update(own)
    return value, {"t": "map", "keys": keys, "items": items}, leaves


def _returned(names: list[str], value: Any) -> dict[str, Any]:
    """Updated arguments that are all that a call returns: one as it is, several in a tuple."""
    if len(names) == 1:
        return {names[0]: value}
    if not isinstance(value, tuple) or len(value) != len(names):
        message = f"the source changes {len(names)} arguments and returns None"
        raise StepError("candidate_error", message, why="updated_arguments")
    return dict(zip(names, value, strict=True))


def fixed(spec: Json) -> bool:
    """Whether nothing in an argument can be written into: it is an array, or tuples of arrays."""
    if spec["t"] == "map" or spec.get("list"):
        return False
    return all(map(fixed, spec.get("items", ())))
