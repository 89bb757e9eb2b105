"""One run of the source: a fresh copy of the model, one mode, one precision, everything cloned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ferry.oracle.draws import Draw, Draws, python_draws
from ferry.oracle.effects import Watched
from ferry.oracle.hooks import Calls, submodule_calls
from ferry.oracle.inputs import call
from ferry.oracle.places import source_runs
from ferry.oracle.precision import precision
from ferry.oracle.program import Program, seed_all
from ferry.oracle.recipe import Weights
from ferry.oracle.state import load, to_float64, variables
from ferry.oracle.trees import (
    Arguments,
    Leaves,
    Spec,
    as_precision,
    flatten_output,
    is_inexact,
    stored,
)
from ferry.timing import typical_seconds

Model = Callable[..., Any]


class Copies:
    """Hands out copies of the built entry with given weights, so that no run sees another's."""

    def __init__(self, program: Program, first: Arguments) -> None:
        self.program = program
        self._first = first
        self._copied = True
        self.built = self._build()

    def _build(self) -> Model:
        model = self.program.build()
        materialize(self.program, model, self._first)
        return model

    def fresh(self, weights: Weights, mode: str, dtype: str) -> Model:
        """A model of its own in `mode` (``eval`` or ``train``) and `dtype`."""
        if not isinstance(self.built, nn.Module):
            return self.built
        model = self._copy(self.built)
        if dtype == "float64":
            to_float64(model)
        load(model, weights)
        model.train(mode == "train")
        return model

    def _copy(self, built: nn.Module) -> nn.Module:
        if self._copied:
            try:
                return copy.deepcopy(built)
            except Exception:  # what a module holds may refuse to be copied in any way
                self._copied = False
        rebuilt = self._build()
        assert isinstance(rebuilt, nn.Module)
        return rebuilt


def materialize(program: Program, model: Model, arguments: Arguments) -> None:
    """Let lazy layers find their shapes, which takes a forward."""
    if not isinstance(model, nn.Module):
        return
    tensors = [*model.parameters(), *model.buffers()]
    if any(isinstance(t, UninitializedParameter | UninitializedBuffer) for t in tensors):
        seed_all(program.seed)
        with source_runs(program.paths), torch.no_grad():
            call(model, arguments.copied())


@dataclass
class Run:
    """What one case gave: arrays by their names within the case, and what was drawn.

    `output` describes a single forward, `outputs` the forwards of a case of several steps.
    `arguments` describes those that were written into, `unwritten` has the names of plain
    attributes in the state that are as they were.
    """

    random: Draws
    output: Spec | None = None
    outputs: list[Spec] = field(default_factory=list)
    leaves: Leaves = field(default_factory=dict)
    calls: Calls | None = None
    arguments: Spec | None = None
    unwritten: list[str] = field(default_factory=list)

    def keep_output(self, value: Any, prefix: str = "out") -> Spec:
        """Copy the leaves of an output; its spec."""
        spec, leaves = flatten_output(value)
        self.leaves |= {f"{prefix}/{path}": stored(leaf) for path, leaf in leaves.items()}
        return spec

    def keep_state(self, model: nn.Module, before: Leaves) -> None:
        """Copy the buffers and plain attributes that had values `before`, as they are now.

        What a run creates is no part of the state: it has no name before it, so no map fills it.
        """
        for variable in variables(model):
            old = before.get(variable.name)
            if variable.kind == "parameter" or old is None:
                continue
            name = f"state/{variable.name}"
            self.leaves[name] = stored(variable.tensor)
            if variable.kind == "attribute" and _same(old, variable.tensor):
                self.unwritten.append(name)

    def again(self) -> Run:
        """The same results in memory of their own."""
        draws = Draws()
        draws.draws = [draw.copied() for draw in self.random.draws]
        leaves = {name: leaf.clone() for name, leaf in self.leaves.items()}
        return replace(self, random=draws, leaves=leaves)

    def keep_arguments(self, watched: Watched, output: Any) -> None:
        """Copy the arguments that a call with this output has written into."""
        self.arguments, leaves = watched.changed(output)
        self.leaves |= {f"arg/{path}": stored(leaf) for path, leaf in leaves.items()}


@dataclass
class Runner:
    """Runs cases of one program."""

    copies: Copies
    seed: int

    @property
    def program(self) -> Program:
        """The program whose entry is run."""
        return self.copies.program

    @contextmanager
    def running(self, dtype: str, replay: list[Draw] | None = None) -> Iterator[Draws]:
        seed_all(self.seed)
        wide = precision(dtype, self.program.modules)
        with source_runs(self.program.paths), wide, Draws(replay) as draws:
            elsewhere = python_draws()
            yield draws
            draws.drew_elsewhere = elsewhere()

    def run_once(self, model: Model, arguments: Arguments, dtype: str) -> Any:
        """Run a model that the caller has prepared, on arguments that it may change."""
        with self.running(dtype), torch.no_grad():
            return call(model, arguments)

    def eager_seconds(self, weights: Weights, arguments: Arguments) -> float | None:
        """What one float32 forward in eval mode takes, without anything that records."""
        model, own = self.copies.fresh(weights, "eval", "float32"), arguments.copied()
        seed_all(self.seed)
        with torch.no_grad():
            return typical_seconds(lambda: call(model, own))

    def forward(
        self,
        weights: Weights,
        arguments: Arguments,
        dtype: str,
        replay: list[Draw] | None = None,
        *,
        hooked: bool = False,
        mode: str = "eval",
    ) -> Run:
        """One forward without gradients; `hooked` records the outputs of all submodules."""
        model = self.copies.fresh(weights, mode, dtype)
        own = arguments.copied(dtype == "float64")
        watched = Watched(own)
        calls = None
        with self.running(dtype, replay) as draws, torch.no_grad():
            if hooked and isinstance(model, nn.Module):
                with submodule_calls(model) as calls:
                    output = call(model, own)
            else:
                output = call(model, own)
        run = Run(draws, calls=calls)
        run.output = run.keep_output(output)
        run.keep_arguments(watched, output)
        return run

    def gradients(
        self, weights: Weights, arguments: Arguments, cotangents: Mapping[str, Tensor]
    ) -> Run | None:
        """Gradients of sum(output * cotangent) in eval mode; None where nothing can be derived."""
        model = self.copies.fresh(weights, "eval", "float64")
        wanted: Leaves = {}
        if isinstance(model, nn.Module):
            for variable in variables(model):
                if variable.kind == "parameter" and is_inexact(variable.tensor):
                    wanted[f"grad/param/{variable.name}"] = variable.tensor

        def leaf(path: str, tensor: Tensor) -> Tensor:
            value = as_precision(tensor, True)
            if not is_inexact(value):
                return value
            wanted[f"grad/input/{path}"] = value.requires_grad_()
            return value.clone()  # a source may write into its argument, not into a leaf

        own = arguments.mapped(leaf)
        with self.running("float64") as draws, torch.enable_grad():
            run = Run(draws)
            output = call(model, own)
            run.output = run.keep_output(output)
            _, leaves = flatten_output(output)
            active = {name: v for name, v in wanted.items() if v.requires_grad}
            if not cotangents or not active:
                return None
            grads = derived(leaves, cotangents, active)
        for name, value in wanted.items():
            grad = grads.get(name)
            run.leaves[name] = stored(torch.zeros_like(value) if grad is None else grad)
        return run

    def train_state(self, weights: Weights, steps: list[Arguments]) -> Run:
        """Train-mode forwards one after the other; outputs per step, buffers at the end."""
        model = self.copies.fresh(weights, "train", "float64")
        assert isinstance(model, nn.Module)
        before = values_of(model)
        with self.running("float64") as draws, torch.no_grad():
            run = Run(draws)
            for step, arguments in enumerate(steps):
                output = call(model, arguments.copied(wide=True))
                run.outputs.append(run.keep_output(output, f"out/{step}"))
        run.keep_state(model, before)
        return run


def values_of(model: nn.Module) -> Leaves:
    """A copy of every variable, by name."""
    return {v.name: v.tensor.detach().clone() for v in variables(model)}


def derived(
    outputs: Mapping[str, Tensor], cotangents: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor | None]:
    """Gradients of sum(output * cotangent) by the names of `wanted`.

    Nothing flows back through an output that the source detached.
    """
    targets = [path for path, v in outputs.items() if path in cotangents and v.requires_grad]
    if not targets:
        return dict.fromkeys(wanted)
    found = torch.autograd.grad(
        [outputs[path] for path in targets],
        list(wanted.values()),
        [cotangents[path].to(outputs[path].dtype) for path in targets],
        allow_unused=True,
    )
    return dict(zip(wanted, found, strict=True))


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal, with NaN equal to NaN."""
    b = b.detach()
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
