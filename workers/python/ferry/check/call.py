"""A call of a candidate as data: what a program depends on, its numbers, and what it gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferry.step import Json

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One call of the entry, or several in a row: what a program depends on but the numbers."""

    dtype: str
    mode: str
    argsets: Sequence[Mapping[str, Any]]
    rng: Sequence[Mapping[str, Any]] = ()

    def key(self, kind: str) -> str:
        """Equal for calls that one compiled program can serve."""
        return json.dumps([kind, self.dtype, self.mode, self.argsets, _draw_keys(self.rng)])


@dataclass
class Numbers:
    """The arrays of one case; `inputs` and `cotangents` have a dict for each argument set."""

    weights: Arrays
    inputs: list[Arrays]
    draws: list[Any] = field(default_factory=list)
    cotangents: list[Arrays] = field(default_factory=list)


@dataclass
class Outcome:
    """What a program gave, with what was seen of it while it was traced."""

    arrays: dict[str, np.ndarray[Any, Any]]
    outputs: list[Json]
    drawn: list[Json]


@dataclass
class Seen:
    """What is noticed while a program is traced."""

    outputs: list[Json] = field(default_factory=list)
    drawn: list[Json] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)


@dataclass
class Traced:
    """A program that was traced, and compiled once it ran."""

    trace: Callable[[], Any]
    stage: Any
    seen: Seen
    compiled: Any = None


def _draw_keys(rng: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [[draw["op"], draw["shape"], draw.get("params")] for draw in rng]
