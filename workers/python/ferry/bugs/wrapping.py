"""Functions of the caller's own files, changed for as long as a block runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

from ferry.bugs.site import Mutating

Wrapper = Callable[..., Any]
Holder = tuple[Any, str, Wrapper]


def functions_named(pattern: re.Pattern[str], modules: Sequence[ModuleType]) -> list[Holder]:
    """Where the functions that `pattern` finds are held: modules and classes, by name.

    A class whose name matches counts with its `forward`.
    """
    found: list[Holder] = []
    own = {module.__name__ for module in modules}
    for module in modules:
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ in own and pattern.search(name):
                found.append((module, name, value))
            elif inspect.isclass(value) and value.__module__ == module.__name__:
                found += [
                    (value, method, function)
                    for method, function in vars(value).items()
                    if inspect.isfunction(function)
                    and (pattern.search(method) or (method == "forward" and pattern.search(name)))
                ]
    return found


def outermost(wrapped: Wrapper, function: Wrapper, depth: list[int], mutating: Mutating) -> Wrapper:
    """`wrapped` in the outermost of nested calls, the plain function inside it or in a pause."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if depth[0] or mutating.paused or not mutating.takes(True):
            return function(*args, **kwargs)
        depth[0] += 1
        try:
            return wrapped(*args, **kwargs)
        finally:
            depth[0] -= 1

    return call


@contextmanager
def changed(
    holders: Sequence[Holder], wrap: Callable[[Wrapper], Wrapper], mutating: Mutating
) -> Iterator[None]:
    """All of `holders` give what `wrap` makes of their functions."""
    depth = [0]
    with ExitStack() as restore:
        for holder, name, function in holders:
            if isinstance(vars(holder).get(name), staticmethod | classmethod):
                continue
            restore.callback(setattr, holder, name, function)
            setattr(holder, name, outermost(wrap(function), function, depth, mutating))
        yield
