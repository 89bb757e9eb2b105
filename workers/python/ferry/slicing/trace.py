"""Which lines of which files run, for files that a package was installed with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

# asked at each call; gives what to tell once the call has ended
Watch = Callable[[FrameType], Callable[[], None] | None]


@dataclass
class Answers:
    """What the calls of a function gave: `value` where it was the same truth value each time."""

    plain: bool = True  # every argument was a constant
    values: set[bool | None] = field(default_factory=set)  # None for what is no truth value

    @property
    def value(self) -> bool | None:
        """The one answer that there was."""
        return next(iter(self.values)) if len(self.values) == 1 else None


class Trace:
    """Lines that ran, functions that were entered and what they answered, by file name.

    `wanted` says of a code object's file name whether its lines matter; it is asked once a file.
    A function is known by the line where it begins: its ``def``, or its first decorator.
    """

    def __init__(self, wanted: Callable[[str], bool], watch: Watch = lambda frame: None) -> None:
        self.lines: dict[str, set[int]] = {}
        self.answers: dict[str, dict[int, Answers]] = {}
        self._wanted = wanted
        self._watch = watch
        self._known: dict[str, bool] = {}

    @contextmanager
    def following(self) -> Iterator[None]:
        """Watch while the block runs; what was watching before takes over again afterwards."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        wanted = self._known.get(file)
        if wanted is None:
            wanted = self._known[file] = self._wanted(file)
        if not wanted:
            return None
        known = self.answers.setdefault(file, {})
        answers = known.setdefault(frame.f_code.co_firstlineno, Answers())
        answers.plain = answers.plain and all(map(is_plain, frame.f_locals.values()))
        ended = self._watch(frame)
        lines = self.lines.setdefault(file, set())

        def inside(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            elif event == "return":
                answers.values.add(arg if isinstance(arg, bool) else None)
                if ended is not None:
                    ended()
            return inside

        return inside


def is_plain(value: Any) -> bool:
    """Whether a value is a constant of Python."""
    return value is None or isinstance(value, bool | int | float | str)
