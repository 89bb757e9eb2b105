"""What is run of a candidate: one traced and compiled program per kind, dtype and shapes.

Weights, inputs, cotangents and recorded draws are arguments, so cases that differ only in their
numbers share one compilation. All arguments and results are dicts of arrays by the names of
`docs/steps.md`, without the case's prefix.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ferry.check.call import Arrays, Call, Numbers, Outcome, Seen, Traced, freed
from ferry.check.compiling import compile_for, compile_surely
from ferry.check.effects import Declared, observed
from ferry.check.errors import DrawsDiffer, NotReplayable
from ferry.check.locate import Recorder
from ferry.check.model import Construct, filled, renew_streams, variables
from ferry.check.precision import is_inexact, precision
from ferry.check.purity import operations, refuse_callbacks, same_program
from ferry.check.replay import RandomHooks, Replay
from ferry.check.training import Parts, Reached, Updates
from ferry.check.trees import Builder, flatten_output
from ferry.deliver.bundle.load_weights import dotted
from ferry.step import Json, StepError
from ferry.timing import typical_seconds

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
        builder: Builder,
        invoke: Invoke = call_directly,
    ) -> None:
        """`construct` builds the module; a candidate that is a function has none."""
        self._builder = builder
        self._declared = Declared(function)
        self._construct = construct
        self._function = function
        self._hooks = hooks
        self._invoke = invoke
        self._traced: dict[str, Traced] = {}
        self._uses: Counter[str] = Counter()
        self._counts: dict[str, int] = {}
        self._updates: dict[Any, Any] = {}
        self.jit_seconds: float | None = None

    def expect(self, kind: str, call: Call, times: int = 1) -> None:
        """Announce runs, so that a program that runs often is compiled better."""
        self._uses[call.key(kind)] += times

    def expect_training(self, call: Call, times: int = 1) -> None:
        """Announce the steps of trainings; their draws are not known apart yet."""
        for argset in call.argsets:
            self._uses[_step_key(argset)] += times

    def forward(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of one call."""
        return self._run("forward", self._forward, call, numbers)

    def shapes(self, call: Call, numbers: Numbers) -> Json:
        """The dtype and shape of each output leaf, without running."""
        with precision(call.dtype, call.narrow):
            try:
                traced = self._trace("forward", self._forward, call, numbers)
            except NotReplayable:
                traced = self._trace("forward", self._forward, *freed(call, numbers, 0))
        return {
            name: {"dtype": leaf.dtype.name, "shape": list(leaf.shape)}
            for name, leaf in traced.stage.out_info.items()
            if name.startswith("out/")
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
        always: set[str],
    ) -> Outcome:
        """Outputs of one optimizer step per argument set, ``out/{step}/…``, then ``var/…``.

        Of the variables in `trained` those in `always` move in every step, the others where a
        loss reaches them. Each step is a program of its own, which steps with arguments of the
        same shapes share.
        """
        found = Outcome({}, [], [])
        updates = Updates(recipe, parts, self._updates)
        values, offset = dict(numbers.weights), 0
        for step, argset in enumerate(call.argsets):
            rest = replace(call, argsets=[argset], rng=call.rng[offset:])
            here = Numbers(
                values, [numbers.inputs[step]], numbers.draws[offset:], [numbers.cotangents[step]]
            )
            used = self._count_draws(rest, here)
            here.draws = here.draws[:used]
            one = replace(rest, rng=rest.rng[:used])
            outcome, reached = self._train_step(one, here, trained)
            reached = reached | always
            with precision(call.dtype, call.narrow):
                values = updates.apply(
                    {n: outcome.arrays[f"new/{n}"] for n in values},
                    {n: outcome.arrays[f"var/{n}"] for n in reached},
                    reached,
                )
            found.outputs += outcome.outputs
            found.drawn += outcome.drawn
            found.arrays.update(_of_step(outcome.arrays, step, offset))
            offset += used
        if offset != len(numbers.draws):
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
        """How many of the draws at hand one call takes; of seeds it is one."""
        if call.free or not call.rng:
            return int(call.free)
        key = call.key("count")
        if key not in self._counts:
            replay = Replay(call.rng, numbers.draws)

            def run(*arguments: Any) -> None:
                here = Numbers(*arguments)
                model = self._model(here.weights, call.mode)
                with self._hooks.replaying(replay, whole=False):
                    self._call(Seen(), model, call, 0, here.inputs[0], "out")

            with precision(call.dtype, call.narrow):
                jax.eval_shape(run, *_arguments(numbers))
            self._counts[key] = len(replay.drawn)
        return self._counts[key]

    def public_jit(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of `nnx.jit` around a real, filled module; then how long a call takes."""
        seen = Seen()

        def run(model: Any, inputs: Arrays) -> Arrays:
            return self._apply(seen, model, call, [inputs], numbers.draws, "out")

        with precision(call.dtype, call.narrow):
            self._trace("forward", self._forward, call, numbers)  # refuses what may not run
            jitted: Callable[[Arrays], Arrays]
            if self._construct is None:
                jitted = jax.jit(lambda inputs: run(self._function, inputs))
            else:
                model = self._real_model(self._construct, call, numbers.weights)
                jitted = partial(nnx.jit(run), model)
            inputs = {name: jnp.asarray(value) for name, value in numbers.inputs[0].items()}
            outcome = _outcome(jitted(inputs), seen)
            self.jit_seconds = typical_seconds(lambda: _computed(jitted(inputs)))
            return outcome

    def eager(self, call: Call, numbers: Numbers) -> Outcome:
        """The outputs of a plain call on real arrays, outside of any trace."""
        seen = Seen()
        with precision(call.dtype, call.narrow):
            model: Any = self._function
            if self._construct is not None:
                model = self._real_model(self._construct, call, numbers.weights)
            inputs = [{n: jnp.array(v) for n, v in x.items()} for x in numbers.inputs]
            arrays = self._apply(seen, model, call, inputs, numbers.draws, "out")
            return _outcome(arrays, seen)

    def operations(self, call: Call, numbers: Numbers) -> int:
        """How many operations a plain call would compile, mostly one by one."""
        with precision(call.dtype, call.narrow):
            traced = self._trace("forward", self._forward, call, numbers)
        return operations(traced.stage.jaxpr)

    def retrace(self, call: Call, numbers: Numbers) -> None:
        """Trace a forward program once more: it must be the program that was run."""
        with precision(call.dtype, call.narrow):
            traced = self._trace("forward", self._forward, call, numbers)
            same_program(traced.stage.jaxpr, traced.trace().jaxpr)

    def _run(self, kind: str, body: Callable[..., Arrays], call: Call, numbers: Numbers) -> Outcome:
        with precision(call.dtype, call.narrow):
            traced = self._trace(kind, body, call, numbers)
            if traced.compiled is None:
                traced.compiled = compile_for(traced.stage, self._uses[call.key(kind)])
            arrays = traced.compiled(*_arguments(numbers))
            if not (traced.sure or _finite(arrays)):
                traced.compiled, traced.sure = compile_surely(traced.stage), True
                arrays = traced.compiled(*_arguments(numbers))
            return _outcome(arrays, traced.seen)

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
        """Outputs and gradients of one call; in training of variables only, with new values.

        Of a complex array jax gives the conjugate of what torch calls its gradient.
        """
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
            **{f"var/{name}": jnp.conj(grad) for name, grad in by_variable.items()},
            **{f"input/{name}": jnp.conj(grad) for name, grad in by_input.items()},
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
        seen.outputs, seen.drawn = [], replay.drawn
        if call.free and self._construct is not None:
            renew_streams(model, draws[0])
        with nullcontext() if call.free else self._hooks.replaying(replay):
            for step, tensors in enumerate(inputs):
                results |= self._call(seen, model, call, step, tensors, prefix.format(step=step))
        return results | replay.asked

    def _call(
        self, seen: Seen, model: Any, call: Call, step: int, tensors: Arrays, prefix: str
    ) -> Arrays:
        """One call of the entry: its output's tensors under `prefix`, its effects under ``arg``."""
        args, kwargs = self._builder.arguments(call.argsets[step], tensors)
        value, updates = self._declared.split(self._invoke(model, args, kwargs), kwargs)
        value, seen.arguments, written = observed(call.effects, value, updates, args, kwargs)
        spec, leaves = flatten_output(value)
        seen.outputs.append(spec)
        named = {f"{prefix}/{path}": leaf for path, leaf in leaves.items()}
        named |= {f"arg/{path}": leaf for path, leaf in written.items()}
        return {name: jnp.asarray(leaf) for name, leaf in named.items()}

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


def _of_step(arrays: Mapping[str, Any], step: int, offset: int) -> Arrays:
    """The outputs of one step of several, and what its draws after the first `offset` ask for."""
    found: Arrays = {}
    for name, array in arrays.items():
        group, _, rest = name.partition("/")
        if group == "out":
            found[f"out/{step}/{rest}"] = array
        elif group == "draw":
            number, _, what = rest.partition("/")
            found[f"draw/{int(number) + offset}/{what}"] = array
    return found


def _computed(arrays: Arrays) -> None:
    """Wait until the arrays are there."""
    for array in arrays.values():
        array.block_until_ready()


def _step_key(argset: Mapping[str, Any]) -> str:
    return "step" + json.dumps(argset)


def _arguments(numbers: Numbers) -> tuple[Any, ...]:
    return (numbers.weights, numbers.inputs, numbers.draws, numbers.cotangents)


def _outcome(arrays: Arrays, seen: Seen) -> Outcome:
    return Outcome(_to_host(arrays), seen.outputs, seen.drawn, seen.arguments)


def _finite(arrays: Arrays) -> bool:
    floating = (np.asarray(value) for value in arrays.values() if is_inexact(value.dtype))
    return all(np.isfinite(value).all() for value in floating)


def _to_host(arrays: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.asarray(value) for name, value in arrays.items()}


def _split(arrays: Arrays, wanted: Callable[[str], bool]) -> tuple[Arrays, Arrays]:
    """The real and complex arrays that are wanted, and the others."""
    first = {n: a for n, a in arrays.items() if wanted(n) and is_inexact(a.dtype)}
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
