"""What is run of a candidate: one traced and compiled program per kind, dtype and shapes.

Weights, inputs, cotangents and recorded draws are arguments, so cases that differ only in their
numbers share one compilation. All arguments and results are dicts of arrays by the names of
`docs/steps.md`, without the case's prefix.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.check.compiling import compile_quickly
from ferry.check.locate import Recorder
from ferry.check.model import Construct, filled, variables
from ferry.check.precision import is_floating, precision
from ferry.check.replay import RandomHooks, Replay
from ferry.check.trees import build_arguments, flatten_output
from ferry.deliver.bundle.load_weights import dotted
from ferry.step import Json, StepError

Arrays = dict[str, Any]

#: The variables that a map fills, as a filter of nnx.
MAPPED = nnx.All(nnx.Variable, nnx.Not(nnx.RngState))


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
    """The arrays of one case; `inputs` has one dict for each argument set."""

    weights: Arrays
    inputs: list[Arrays]
    draws: list[Any] = field(default_factory=list)
    cotangents: Arrays = field(default_factory=dict)


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


@dataclass
class Traced:
    """A program that was traced, and compiled once it ran."""

    stage: Any
    seen: Seen
    compiled: Any = None


class Programs:
    """The programs of one candidate."""

    def __init__(
        self, construct: Construct | None, function: Callable[..., Any], hooks: RandomHooks
    ) -> None:
        """`construct` builds the module; a candidate that is a function has none."""
        self._construct = construct
        self._function = function
        self._hooks = hooks
        self._traced: dict[str, Traced] = {}

    def forward(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of one call."""
        return self._run("forward", self._forward, call, numbers)

    def shapes(self, call: Call, numbers: Numbers) -> Json:
        """The dtype and shape of each output leaf, without running."""
        with precision(call.dtype):
            traced = self._trace("forward", self._forward, call, numbers)
        return {
            name: {"dtype": leaf.dtype.name, "shape": list(leaf.shape)}
            for name, leaf in traced.stage.out_info.items()
        }

    def steps(self, call: Call, numbers: Numbers) -> Outcome:
        """Outputs of several calls in a row, ``out/{step}/…``, then ``var/…``."""
        return self._run("steps", self._steps, call, numbers)

    def gradients(self, call: Call, numbers: Numbers, wanted: set[str]) -> Outcome:
        """The outputs of one call, and the gradients of sum(output * cotangent).

        They are called ``var/…`` for each variable in `wanted`, ``input/…`` for each input.
        """

        def gradients(seen: Seen, call: Call, numbers: Numbers) -> Arrays:
            return self._gradients(seen, call, numbers, wanted)

        return self._run("gradients", gradients, call, numbers)

    def submodules(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of every call of a submodule, ``sub/{path}#{call}/…``."""
        return self._run("submodules", self._submodules, call, numbers)

    def public_jit(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of `nnx.jit` around a real, filled module."""
        seen = Seen()

        def run(model: Any, inputs: Arrays) -> Arrays:
            return self._apply(seen, model, call, [inputs], numbers.draws, "out")

        with precision(call.dtype):
            if self._construct is None:
                jitted = jax.jit(lambda inputs: run(self._function, inputs))
                arrays = jitted(numbers.inputs[0])
            else:
                model = self._real_model(self._construct, call, numbers.weights)
                arrays = nnx.jit(run)(model, numbers.inputs[0])
            return Outcome(_to_host(arrays), seen.outputs, seen.drawn)

    def _run(self, kind: str, body: Callable[..., Arrays], call: Call, numbers: Numbers) -> Outcome:
        with precision(call.dtype):
            traced = self._trace(kind, body, call, numbers)
            if traced.compiled is None:
                traced.compiled = compile_quickly(traced.stage.lower())
            arrays = traced.compiled(*_arguments(numbers))
            return Outcome(_to_host(arrays), traced.seen.outputs, traced.seen.drawn)

    def _trace(
        self, kind: str, body: Callable[..., Arrays], call: Call, numbers: Numbers
    ) -> Traced:
        key = call.key(kind)
        if key not in self._traced:
            seen = Seen()

            def program(*arguments: Any) -> Arrays:
                return body(seen, call, Numbers(*arguments))

            stage = jax.jit(program).trace(*_arguments(numbers))
            self._traced[key] = Traced(stage, seen)
        return self._traced[key]

    def _forward(self, seen: Seen, call: Call, numbers: Numbers) -> Arrays:
        model = self._model(numbers.weights, call.mode)
        return self._apply(seen, model, call, numbers.inputs, numbers.draws, "out")

    def _steps(self, seen: Seen, call: Call, numbers: Numbers) -> Arrays:
        model = self._model(numbers.weights, call.mode)
        results = self._apply(seen, model, call, numbers.inputs, numbers.draws, "out/{step}")
        if self._construct is not None:
            values = {name: v.get_value() for name, v in variables(model).items()}
            results.update({f"var/{name}": value for name, value in values.items()})
        return results

    def _submodules(self, seen: Seen, call: Call, numbers: Numbers) -> Arrays:
        model = self._model(numbers.weights, call.mode)
        with Recorder(model) as recorder:
            self._apply(seen, model, call, numbers.inputs, numbers.draws, "out")
        return recorder.outputs

    def _gradients(self, seen: Seen, call: Call, numbers: Numbers, wanted: set[str]) -> Arrays:
        variable, fixed = _split(numbers.weights, lambda name: name in wanted)
        moving, still = _split(numbers.inputs[0], lambda name: True)

        def loss(variable: Arrays, moving: Arrays) -> tuple[Any, Arrays]:
            model = self._model({**fixed, **variable}, call.mode)
            inputs = [{**still, **moving}]
            outputs = self._apply(seen, model, call, inputs, numbers.draws, "out")
            return _weighted_sum(outputs, numbers.cotangents), outputs

        derive = jax.grad(loss, argnums=(0, 1), has_aux=True)
        (by_variable, by_input), outputs = derive(variable, moving)
        return {
            **outputs,
            **{f"var/{name}": grad for name, grad in by_variable.items()},
            **{f"input/{name}": grad for name, grad in by_input.items()},
        }

    def _model(self, weights: Arrays, mode: str) -> Any:
        if self._construct is None:
            return self._function
        return filled(self._construct, weights, mode)

    def _apply(
        self,
        seen: Seen,
        model: Any,
        call: Call,
        inputs: Sequence[Arrays],
        draws: Sequence[Any],
        prefix: str,
    ) -> Arrays:
        """Call the model once for each argument set; its outputs under `prefix`."""
        replay = Replay(call.rng, draws)
        results: Arrays = {}
        outputs = []
        seen.drawn = replay.drawn
        with self._hooks.replaying(replay):
            for step, (argset, tensors) in enumerate(zip(call.argsets, inputs, strict=True)):
                args, kwargs = build_arguments(argset, tensors)
                spec, leaves = flatten_output(model(*args, **kwargs))
                outputs.append(spec)
                under = prefix.format(step=step)
                results.update({f"{under}/{p}": jnp.asarray(leaf) for p, leaf in leaves.items()})
        seen.outputs = outputs
        return results

    def _real_model(self, construct: Construct, call: Call, weights: Arrays) -> Any:
        """The module as users hold it: real arrays, no trace around it.

        What the map does not fill (random streams, arrays made by the constructor) is computed
        by one compiled function.
        """
        seen: list[Any] = []

        def rest() -> Any:
            model = filled(construct, weights, call.mode)
            parts: Any = nnx.split(model, MAPPED, ...)
            graph, mapped, other = parts
            seen.extend([graph, nnx.to_flat_state(mapped)])
            return other

        other = compile_quickly(jax.jit(rest).lower())()
        graph, mapped = seen
        real = [(path, v.replace(jax.device_put(weights[dotted(path)]))) for path, v in mapped]
        return nnx.merge(graph, nnx.from_flat_state(real), other)


def _draw_keys(rng: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [[draw["op"], draw["shape"], draw.get("params")] for draw in rng]


def _arguments(numbers: Numbers) -> tuple[Any, ...]:
    return (numbers.weights, numbers.inputs, numbers.draws, numbers.cotangents)


def _to_host(arrays: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.asarray(value) for name, value in arrays.items()}


def _split(arrays: Arrays, wanted: Callable[[str], bool]) -> tuple[Arrays, Arrays]:
    """The floating arrays that are wanted, and the others."""
    first = {n: a for n, a in arrays.items() if wanted(n) and is_floating(a.dtype)}
    return first, {n: a for n, a in arrays.items() if n not in first}


def _weighted_sum(outputs: Arrays, cotangents: Mapping[str, Any]) -> Any:
    """sum(output * cotangent) over the leaves that have a cotangent."""
    total: Any = 0.0
    for path, cotangent in cotangents.items():
        output = outputs.get(f"out/{path}")
        if output is None or output.shape != cotangent.shape:
            found = None if output is None else output.shape
            message = f"output {path} has the shape {found}, the source's {cotangent.shape}"
            raise StepError("candidate_error", message, why="output_differs")
        total = total + (output * cotangent).sum()
    return total
