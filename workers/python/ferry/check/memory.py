"""What a candidate's Python remembers from one call to the next.

A program that is traced once more must leave everything as it was: what changes with every call
is a counter, by which a candidate could answer rightly for as long as it is looked at. A memo that
the first call filled does not change any more.
"""

from __future__ import annotations

import operator
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, GeneratorType, ModuleType
from typing import Any

import numpy as np

#: Iterators that show where they are in what they reduce to.
ITERATORS = tuple(
    type(made)
    for made in (iter([]), iter(()), iter(range(0)), iter({}), iter(set()), iter(""), iter(b""))
)

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def remembered(modules: Iterable[ModuleType]) -> str:
    """A text that is another one after what `modules` hold, or a random stream, has changed."""
    modules = list(modules)
    walk = _Walk({module.__name__ for module in modules})
    parts = [part for module in modules for part in walk.members(vars(module))]
    return "\n".join([*parts, repr(random.getstate()), repr(np.random.get_state())])


class _Walk:
    """One pass over what can be reached from a candidate's modules."""

    def __init__(self, own: set[str]) -> None:
        self._own = own
        self._seen: dict[int, Any] = {}  # held, so that no address is used again

    def members(self, named: Mapping[str, Any]) -> Iterator[str]:
        """The members of a module, a class or an object, but for what Python keeps there."""
        for name, value in list(named.items()):
            if not (name.startswith("__") and name.endswith("__")):
                yield f"{name}="
                yield from self._value(value)

    def _value(self, value: Any) -> Iterator[str]:
        if isinstance(value, PLAIN):
            yield repr(value)
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, np.ndarray):
            yield f"{value.shape}{value.tobytes()!r}"
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            yield f"{type(value).__name__}{len(value)}"
            for item in value:
                yield from self._value(item)
        elif isinstance(value, Mapping):
            yield f"{type(value).__name__}{len(value)}"
            for key, item in list(value.items()):
                yield from self._value(key)
                yield from self._value(item)
        else:
            yield from self._object(value)

    def _object(self, value: Any) -> Iterator[str]:
        if isinstance(value, GeneratorType):
            frame = value.gi_frame
            yield f"{frame and frame.f_lasti}"
            yield from self.members(dict(frame.f_locals) if frame else {})
            yield from self._value(value.gi_yieldfrom)
        elif isinstance(value, ITERATORS) or type(value).__module__ == "itertools":
            yield repr(value) if type(value).__module__ == "itertools" else ""
            yield str(operator.length_hint(value))
        elif isinstance(value, FunctionType):
            if value.__module__ in self._own:
                yield from self._function(value)
        elif isinstance(value, type):
            if value.__module__ in self._own:
                yield from self.members(vars(value))
        elif type(value).__module__ in (*self._own, "types"):
            yield from self.members(getattr(value, "__dict__", {}))

    def _function(self, value: FunctionType) -> Iterator[str]:
        yield from self.members(vars(value))
        for default in (value.__defaults__ or (), value.__kwdefaults__ or {}):
            yield from self._value(default)
        for cell in value.__closure__ or ():
            try:
                yield from self._value(cell.cell_contents)
            except ValueError:  # nothing is in it yet
                continue
