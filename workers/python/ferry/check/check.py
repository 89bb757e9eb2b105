"""The check step: run a candidate stage by stage and hand back its arrays.

Input: the request of `docs/steps.md` section 7 and the tensors `given`. Output: the tensors
`actual`, named as the expected ones, and what happened in each stage. Nothing is judged here:
`ran` only says that arrays were handed back. Whatever a candidate raises ends as the error of
the stage it was raised in.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import flax
import jax
import numpy as np

from ferry.check.candidate import Candidate
from ferry.check.construct import constructor
from ferry.check.errors import WeightMapError, describe
from ferry.check.model import Blueprint, blueprint, traced_arrays_are_data
from ferry.check.oracle import Oracle
from ferry.check.program import Outcome, Programs
from ferry.check.replay import RandomHooks
from ferry.check.tensors import Array, read_safetensors, write_safetensors
from ferry.check.weights import WeightMap
from ferry.step import Context, Json

#: Stages without which no later one can run, in order.
GATES = ("parse", "import", "build", "weights", "shapes")

#: Stages that exist for module classes only.
CLASS_STAGES = ("build", "weights")


def run(ctx: Context) -> Json:
    """The entry of the step."""
    check = Check(ctx.request, read_safetensors(ctx.read("given")))
    try:
        check.run()
    finally:
        check.close()
    ctx.write("actual", write_safetensors(check.arrays))
    return check.result()


class Check:
    """One candidate, one oracle: the stages in order, and what they left behind."""

    def __init__(self, request: Json, given: Mapping[str, Array]) -> None:
        plan = request["plan"]
        self._plan = plan
        self._weights = request.get("weights")
        self._tensors = request.get("tensors") or []
        self._wanted = request["stages"]
        self._locate = bool(request.get("locate"))
        self._oracle = Oracle(plan, self._tensors, given)
        self._candidate = Candidate(request["files"], _entry(request, plan))
        self._hooks = RandomHooks()
        self._stack = ExitStack()
        self._blueprint: Blueprint | None = None
        self._map: WeightMap | None = None
        self._programs: Programs | None = None
        self.arrays: dict[str, Array] = {}
        self._stages: Json = {}
        self._shapes: Json = {}
        self._outputs: Json = {}
        self._draws: Json = {}
        self._absent: Json = {}

    def run(self) -> None:
        """Run the stages; a failed gate leaves the later ones not run."""
        self._hooks.install()
        self._stack.enter_context(traced_arrays_are_data())
        names = [*GATES, *(name for name in self._wanted if name not in GATES)]
        if "shapes" not in self._wanted:
            names.remove("shapes")
        if self._locate:
            names = [*GATES[:-1], "forward_f64"]
        for position, name in enumerate(names):
            self._stages[name] = self._stage(name)
            if name in GATES and self._stages[name]["status"] == "failed":
                for later in names[position + 1 :]:
                    self._stages[later] = _record("not_run")
                return

    def close(self) -> None:
        """Leave the process as it was."""
        self._stack.close()
        self._hooks.uninstall()
        self._candidate.unload()

    def result(self) -> Json:
        """The step's result."""
        return {
            "stages": self._stages,
            "shapes": self._shapes,
            "outputs": self._outputs,
            "draws": self._draws,
            "absent": self._absent,
            "versions": {
                "python": platform.python_version(),
                "jax": jax.__version__,
                "flax": flax.__version__,
                "numpy": np.__version__,
            },
        }

    def _stage(self, name: str) -> Json:
        """Run one stage and catch everything that it raises."""
        action = self._action(name)
        if isinstance(action, str):
            return _record(action)
        start = time.monotonic()
        try:
            action()
        except BaseException as error:  # a candidate may raise anything, SystemExit too
            found = describe(error, self._candidate.files)
            return _record("failed", time.monotonic() - start, found)
        return _record("ran", time.monotonic() - start)

    def _action(self, name: str) -> Callable[[], None] | str:
        """What a stage does, or the status of one that has nothing to do."""
        if name in CLASS_STAGES and not self._candidate.is_class:
            return "not_applicable"
        gates: dict[str, Callable[[], None]] = {
            "parse": self._candidate.parse,
            "import": self._import,
            "build": self._build,
            "weights": self._fit_weights,
            "shapes": self._infer_shapes,
        }
        if name in gates:
            return gates[name]
        runners = {
            "forward_f64": self._forward,
            "forward_f32": self._forward,
            "gradients": self._gradients,
            "train_state": self._train_state,
            "jit": self._jit,
        }
        if name not in runners:
            return "not_run"
        runner = self._submodules if self._locate else runners[name]
        cases = self._oracle.cases(name)[: 1 if self._locate else None]
        if not cases:
            return "not_applicable"
        return lambda: self._run_cases(runner, cases)

    def _run_cases(self, runner: Callable[[Json], None], cases: list[Json]) -> None:
        for case in cases:
            runner(case)

    def _import(self) -> None:
        self._candidate.load()
        if not self._candidate.is_class:
            self._programs = Programs(None, self._candidate.target, self._hooks)

    def _build(self) -> None:
        self._blueprint = blueprint(constructor(self._candidate, self._plan["init"]))
        construct = self._blueprint.construct
        self._programs = Programs(construct, self._candidate.target, self._hooks)

    def _fit_weights(self) -> None:
        if self._weights is None:
            raise WeightMapError("missing", "the candidate has no weight map")
        assert self._blueprint is not None
        shapes, aliases = self._blueprint.shapes, self._blueprint.aliases
        self._map = WeightMap(self._weights, self._tensors, shapes, aliases)
        self._oracle.use_map(self._map)

    def _infer_shapes(self) -> None:
        for index in range(len(self._plan["inputs"])):
            call, numbers = self._oracle.shapes_call(index)
            self._shapes[f"x{index}"] = self._the_programs().shapes(call, numbers)

    def _forward(self, case: Json) -> None:
        self._keep(case, self._the_programs().forward(*self._oracle.call(case)))

    def _jit(self, case: Json) -> None:
        self._keep(case, self._the_programs().public_jit(*self._oracle.call(case)))

    def _submodules(self, case: Json) -> None:
        self._keep(case, self._the_programs().submodules(*self._oracle.call(case)))

    def _gradients(self, case: Json) -> None:
        wanted = self._map.trainable() if self._map is not None else set()
        call, numbers = self._oracle.call(case)
        outcome = self._the_programs().gradients(call, numbers, wanted)
        arrays = {n: a for n, a in outcome.arrays.items() if n.startswith("out/")}
        by_input = _under("input/", outcome.arrays)
        arrays.update({f"grad/input/{path}": grad for path, grad in by_input.items()})
        if self._map is not None:
            by_source = self._map.gradients(_under("var/", outcome.arrays))
            arrays.update({f"grad/param/{name}": grad for name, grad in by_source.items()})
        self._keep(case, Outcome(arrays, outcome.outputs, outcome.drawn))

    def _train_state(self, case: Json) -> None:
        call, numbers = self._oracle.call(case)
        outcome = self._the_programs().steps(call, numbers)
        arrays = {n: a for n, a in outcome.arrays.items() if n.startswith("out/")}
        if self._map is not None:
            state = self._map.state(_under("var/", outcome.arrays), numbers.weights)
            arrays.update({f"state/{name}": value for name, value in state.items()})
            absent = [f"state/{name}" for name in self._map.buffers() if name not in state]
            if absent:
                self._absent[case["id"]] = absent
        self._keep(case, Outcome(arrays, outcome.outputs, outcome.drawn))

    def _keep(self, case: Json, outcome: Outcome) -> None:
        """Store a case's arrays and what was seen while tracing it."""
        name = case["id"]
        self.arrays.update({f"{name}/{path}": array for path, array in outcome.arrays.items()})
        several = case["stage"] == "train_state"
        self._outputs[name] = outcome.outputs if several else outcome.outputs[0]
        if outcome.drawn:
            self._draws[name] = outcome.drawn

    def _the_programs(self) -> Programs:
        assert self._programs is not None
        return self._programs


def _entry(request: Json, plan: Json) -> Json:
    """The plan's entry, or the one that the request names instead."""
    entry: Json = dict(plan["entry"])
    named = request.get("entry")
    if named:
        module, _, name = named.rpartition(":")
        entry.update(name=name, module=module or entry["module"])
    return entry


def _record(status: str, seconds: float = 0.0, error: Json | None = None) -> Json:
    return {"status": status, "error": error, "seconds": round(seconds, 6)}


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays below `prefix`, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
