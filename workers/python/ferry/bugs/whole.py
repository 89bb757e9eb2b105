"""Whole cases of the plan rerun under a wrong rule: gradients, train steps, functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ferry.bugs.site import Mutating
from ferry.oracle.cases import Run, Runner
from ferry.oracle.recipe import Weights
from ferry.oracle.trees import Arguments, Leaves
from ferry.step import StepError

Json = dict[str, Any]


def weights_of(given: Mapping[str, Tensor], draw: int) -> Weights:
    """The weights of one draw by torch name, as they were stored."""
    prefix = f"w{draw}/"
    return {n.removeprefix(prefix): t for n, t in given.items() if n.startswith(prefix)}


def arguments_of(first: Arguments, given: Mapping[str, Tensor], index: int) -> Arguments:
    """Argument set `index`: the containers of `first` with the tensors that were given."""

    def value(path: str, like: Tensor) -> Tensor:
        found = given.get(f"x{index}/{path}", like)
        return found if like.is_complex() is found.is_complex() else as_complex(found)

    return first.mapped(value)


def as_complex(pairs: Tensor) -> Tensor:
    """A complex tensor from the trailing axis of two floats that it was stored with."""
    return torch.view_as_complex(pairs.contiguous())


class WholeCase:
    """One case of the plan that can be run again."""

    def __init__(
        self, runner: Runner, case: Json, first: Arguments, given: Mapping[str, Tensor]
    ) -> None:
        self._runner = runner
        self._case = case
        self._first = first
        self._given = given

    def run(self, mutating: Mutating) -> Leaves | None:
        """All arrays of the case by their names in it; None where it fails or can't be run."""
        try:
            with mutating:
                run = self._run()
        except StepError:
            return None
        return None if run is None else run.leaves

    def _run(self) -> Run | None:
        case, runner = self._case, self._runner
        weights = weights_of(self._given, case["draw"])
        if case["dtype"] != "float64":
            return None
        if case["stage"] == "train_state":
            return runner.train_state(weights, [self._arguments(i) for i in case["inputs"]])
        if case["stage"] == "gradients":
            prefix = f"ct{case['input']}/"
            cotangents = {
                name.removeprefix(prefix): value
                for name, value in self._given.items()
                if name.startswith(prefix)
            }
            return runner.gradients(weights, self._arguments(case["input"]), cotangents)
        if case["mode"] != "eval":
            return None
        return runner.forward(weights, self._arguments(case["input"]), "float64")

    def _arguments(self, index: int) -> Arguments:
        return arguments_of(self._first, self._given, index)
