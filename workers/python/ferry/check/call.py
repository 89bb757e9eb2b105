"""A call of a candidate as data: what a program depends on, its numbers, and what it gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ferry.check.effects import Effects
from ferry.step import Json

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One call of the entry, or several in a row: what a program depends on but the numbers."""

    dtype: str
    mode: str
    argsets: Sequence[Mapping[str, Any]]
    rng: Sequence[Mapping[str, Any]] = ()
    #: The candidate draws on its own; `Numbers.draws` has a seed for each argument set instead.
    free: bool = False
    effects: Effects | None = None
    #: The types below float32 that the source computes in.
    narrow: tuple[str, ...] = ()

    def key(self, kind: str) -> str:
        """Equal for calls that one compiled program can serve."""
        effects = self.effects and [self.effects.specs, self.effects.alone]
        draws = _draw_keys(self.rng)
        return json.dumps([kind, self.dtype, self.mode, self.argsets, draws, self.free, effects])


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
    arguments: Json | None = None


@dataclass
class Seen:
    """What is noticed while a program is traced."""

    outputs: list[Json] = field(default_factory=list)
    arguments: Json | None = None
    drawn: list[Json] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)


@dataclass
class Traced:
    """A program that was traced, and compiled once it ran."""

    trace: Callable[[], Any]
    stage: Any
    seen: Seen
    compiled: Any = None
    #: Compiled so that a result that is not finite is the program's own.
    sure: bool = False


def freed(call: Call, numbers: Numbers, seed: int) -> tuple[Call, Numbers]:
    """The same call with draws of the candidate's own, which follow from `seed`."""
    count = len(call.argsets)
    seeds = [np.uint32((seed * count + step) % 2**32) for step in range(count)]
    return replace(call, rng=(), free=True), replace(numbers, draws=seeds)


def _draw_keys(rng: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [[draw["op"], draw["shape"], draw.get("params"), draw.get("asked")] for draw in rng]
