"""What is run of a candidate: one traced and compiled program per kind, dtype and shapes.

Weights, inputs, cotangents and recorded draws are arguments, so cases that differ only in their
numbers share one compilation. All arguments and results are dicts of arrays by the names of
`docs/steps.md`, without the case's prefix.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.check.call import Arrays, Call, Numbers, Outcome, Seen, Traced
from ferry.check.compiling import compile_for
from ferry.check.errors import DrawsDiffer
from ferry.check.locate import Recorder
from ferry.check.model import Construct, filled, variables
from ferry.check.precision import is_floating, precision
from ferry.check.purity import operations, refuse_callbacks, same_program
from ferry.check.replay import RandomHooks, Replay
from ferry.check.training import Parts, Reached, Updates
from ferry.check.trees import build_arguments, flatten_output
from ferry.deliver.bundle.load_weights import dotted
from ferry.step import Json, StepError

#: How an entry is called: with the model (or function), positional and keyword arguments.
Invoke = Callable[[Any, list[Any], dict[str, Any]], Any]

#: The variables that a map fills, as a filter of nnx.
MAPPED = nnx.All(nnx.Variable, nnx.Not(nnx.RngState))


def call_directly(model: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call an entry as it is."""
    return model(*args, **kwargs)


class Programs:
    """The programs of one candidate."""

    def __init__(
        self,
        construct: Construct | None,
        function: Callable[..., Any],
        hooks: RandomHooks,
        invoke: Invoke = call_directly,
    ) -> None:
        """`construct` builds the module; a candidate that is a function has none."""
        self._construct = construct
        self._function = function
        self._hooks = hooks
        self._invoke = invoke
        self._traced: dict[str, Traced] = {}
        self._uses: Counter[str] = Counter()
        self._counts: dict[str, int] = {}

    def expect(self, kind: str, call: Call) -> None:
        """Announce a run, so that a program that runs often is compiled better."""
        self._uses[call.key(kind)] += 1

    def expect_training(self, call: Call) -> None:
        """Announce the steps of a training; their draws are not known apart yet."""
        self._uses.update(_step_key(argset) for argset in call.argsets)

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

    def training(
        self,
        call: Call,
        numbers: Numbers,
        recipe: Mapping[str, Any],
        trained: set[str],
        parts: Parts,
    ) -> Outcome:
        """Outputs of one optimizer step per argument set, ``out/{step}/…``, then ``var/…``.

        Each step is a program of its own, which steps with arguments of the same shapes share.
        """
        found = Outcome({}, [], [])
        updates = Updates(recipe, parts)
        values, offset = dict(numbers.weights), 0
        for step, argset in enumerate(call.argsets):
            rest = Call(call.dtype, call.mode, [argset], call.rng[offset:])
            here = Numbers(
                values, [numbers.inputs[step]], numbers.draws[offset:], [numbers.cotangents[step]]
            )
            used = self._count_draws(rest, here)
            here.draws = here.draws[:used]
            one = Call(call.dtype, call.mode, [argset], rest.rng[:used])
            outcome, reached = self._train_step(one, here, trained)
            with precision(call.dtype):
                values = updates.apply(
                    {n: outcome.arrays[f"new/{n}"] for n in values},
                    {n: outcome.arrays[f"var/{n}"] for n in reached},
                    reached,
                )
            found.outputs += outcome.outputs
            found.drawn += outcome.drawn
            found.arrays.update(
                {f"out/{step}/{n[4:]}": a for n, a in outcome.arrays.items() if n[:4] == "out/"}
            )
            offset += used
        if offset != len(call.rng):
            raise DrawsDiffer(f"the candidate draws {offset} times, the source {len(call.rng)}")
        found.arrays.update({f"var/{name}": np.asarray(value) for name, value in values.items()})
        return found

    def _train_step(
        self, call: Call, numbers: Numbers, trained: set[str]
    ) -> tuple[Outcome, set[str]]:
        """Outputs, gradients and new values of one step, and the variables that it reaches."""

        def step(seen: Seen, call: Call, numbers: Numbers) -> Arrays:
            return self._gradients(seen, call, numbers, trained, training=True)

        self._uses[call.key("step")] = self._uses[_step_key(call.argsets[0])]
        outcome = self._run("step", step, call, numbers)
        return outcome, self._traced[call.key("step")].seen.reached

    def _count_draws(self, call: Call, numbers: Numbers) -> int:
        """How many of the draws at hand one call takes."""
        if not call.rng:
            return 0
        key = call.key("count")
        if key not in self._counts:
            replay = Replay(call.rng, numbers.draws)

            def run(*arguments: Any) -> None:
                here = Numbers(*arguments)
                model = self._model(here.weights, call.mode)
                with self._hooks.replaying(replay, whole=False):
                    self._call(model, call.argsets[0], here.inputs[0], "out")

            with precision(call.dtype):
                jax.eval_shape(run, *_arguments(numbers))
            self._counts[key] = len(replay.drawn)
        return self._counts[key]

    def public_jit(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of `nnx.jit` around a real, filled module."""
        seen = Seen()

        def run(model: Any, inputs: Arrays) -> Arrays:
            return self._apply(seen, model, call, [inputs], numbers.draws, "out")

        with precision(call.dtype):
            self._trace("forward", self._forward, call, numbers)  # refuses what may not run
            if self._construct is None:
                jitted = jax.jit(lambda inputs: run(self._function, inputs))
                arrays = jitted(numbers.inputs[0])
            else:
                model = self._real_model(self._construct, call, numbers.weights)
                arrays = nnx.jit(run)(model, numbers.inputs[0])
            return Outcome(_to_host(arrays), seen.outputs, seen.drawn)

    def eager(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of a plain call on real arrays, outside of any trace."""
        seen = Seen()
        with precision(call.dtype):
            model: Any = self._function
            if self._construct is not None:
                model = self._real_model(self._construct, call, numbers.weights)
            inputs = [{n: jnp.array(v) for n, v in x.items()} for x in numbers.inputs]
            arrays = self._apply(seen, model, call, inputs, numbers.draws, "out")
            return Outcome(_to_host(arrays), seen.outputs, seen.drawn)

    def operations(self, call: Call, numbers: Numbers) -> int:
        """How many operations a plain call would compile, mostly one by one."""
        with precision(call.dtype):
            traced = self._trace("forward", self._forward, call, numbers)
        return operations(traced.stage.jaxpr)

    def retrace(self, call: Call, numbers: Numbers) -> None:
        """Trace a forward program once more: it must be the program that was run."""
        with precision(call.dtype):
            traced = self._trace("forward", self._forward, call, numbers)
            same_program(traced.stage.jaxpr, traced.trace().jaxpr)

    def _run(self, kind: str, body: Callable[..., Arrays], call: Call, numbers: Numbers) -> Outcome:
        with precision(call.dtype):
            traced = self._trace(kind, body, call, numbers)
            if traced.compiled is None:
                traced.compiled = compile_for(traced.stage, self._uses[call.key(kind)])
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

            def trace() -> Any:
                return jax.jit(lambda *arguments: program(*arguments)).trace(*_arguments(numbers))

            stage = trace()
            refuse_callbacks(stage.jaxpr)
            self._traced[key] = Traced(trace, stage, seen)
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

    def _gradients(
        self,
        seen: Seen,
        call: Call,
        numbers: Numbers,
        wanted: set[str],
        training: bool = False,
    ) -> Arrays:
        """Outputs and gradients of one call; in training of variables only, with new values."""
        variable, fixed = _split(numbers.weights, lambda name: name in wanted)
        moving, still = _split(numbers.inputs[0], lambda name: not training)
        reached = Reached()

        def loss(variable: Arrays, moving: Arrays) -> tuple[Any, Arrays]:
            values = reached.mark(variable) if training else variable
            model = self._model({**fixed, **values}, call.mode)
            inputs = [{**still, **moving}]
            results = self._apply(seen, model, call, inputs, numbers.draws, "out")
            total = _weighted_sum(results, numbers.cotangents[0])
            if training:
                new = {n: v.get_value() for n, v in variables(model).items()}
                results.update({f"new/{name}": value for name, value in new.items()})
            return total, results

        derive = jax.grad(loss, argnums=(0, 1), has_aux=True)
        (by_variable, by_input), results = derive(variable, moving)
        seen.reached = reached.names
        return {
            **results,
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
                spec, leaves = self._call(model, argset, tensors, prefix.format(step=step))
                outputs.append(spec)
                results.update(leaves)
        seen.outputs = outputs
        return results

    def _call(
        self, model: Any, argset: Mapping[str, Any], tensors: Arrays, prefix: str
    ) -> tuple[Json, Arrays]:
        """One call of the entry: the spec of its output, and its tensors under `prefix`."""
        args, kwargs = build_arguments(argset, tensors)
        spec, leaves = flatten_output(self._invoke(model, args, kwargs))
        return spec, {f"{prefix}/{path}": jnp.asarray(leaf) for path, leaf in leaves.items()}

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

        other = compile_for(jax.jit(rest).trace(), 1)()
        graph, mapped = seen
        real = [(path, v.replace(jax.device_put(weights[dotted(path)]))) for path, v in mapped]
        return nnx.merge(graph, nnx.from_flat_state(real), other)


def _step_key(argset: Mapping[str, Any]) -> str:
    return "step" + json.dumps(argset)


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
