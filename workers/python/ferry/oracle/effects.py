"""What a call leaves in its arguments: those that the source writes into, as they are afterwards.

An argument that the call hands back, itself or within its output, is compared there; what is
left is recorded under ``arg/``, by the argument's position or keyword.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ferry.oracle.trees import Arguments, Leaves, NotATree, Spec, flatten
from ferry.step import StepError


def _flat(name: str, value: Any) -> tuple[Spec, Leaves]:
    leaves: Leaves = {}
    try:
        return flatten(value, name, leaves), leaves
    except NotATree as error:
        message = f"the source leaves {error} in its argument {name}"
        raise StepError("unsupported_output", message) from None


class Watched:
    """The arguments of one call, as they were before it."""

    def __init__(self, arguments: Arguments) -> None:
        """Their tensors are kept alive, so that none that comes later has the identity of one."""
        self._arguments = arguments
        self._before = {name: _marks(name, value) for name, value in self._named()}
        self._alive = arguments.leaves()

    def _named(self) -> Iterator[tuple[str, Any]]:
        yield from ((str(i), value) for i, value in enumerate(self._arguments.args))
        yield from self._arguments.kwargs.items()

    def changed(self, output: Any) -> tuple[Spec | None, Leaves]:
        """A map of the arguments that were written into and are not in `output`, and its tensors.

        None where there are none.
        """
        returned = set(map(id, _nodes(output)))
        names: list[str] = []
        items: list[Spec] = []
        leaves: Leaves = {}
        for name, value in self._named():
            if id(value) in returned or _marks(name, value) == self._before[name]:
                continue
            spec, own = _flat(name, value)
            names.append(name)
            items.append(spec)
            leaves |= own
        return {"t": "map", "keys": names, "items": items} if names else None, leaves


def _marks(name: str, value: Any) -> tuple[Spec, list[tuple[int, int]]]:
    """What tells a written argument: its structure, and each tensor's identity and version."""
    spec, leaves = _flat(name, value)
    return spec, [(id(leaf), leaf._version) for leaf in leaves.values()]


def _nodes(value: Any) -> Iterator[Any]:
    """A value and everything within it that could be an argument."""
    yield value
    if isinstance(value, Tensor):
        return
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _nodes(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from _nodes(getattr(value, entry.name))
