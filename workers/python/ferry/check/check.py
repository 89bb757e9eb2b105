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
from typing import Any

import flax
import jax
import numpy as np

from ferry.check.adapter import Adapter
from ferry.check.candidate import Candidate
from ferry.check.cases import Cases
from ferry.check.construct import constructor
from ferry.check.errors import WeightMapError, describe
from ferry.check.guard import Guard
from ferry.check.infer import Inference
from ferry.check.memory import remembered
from ferry.check.model import blueprint, traced_arrays_are_data
from ferry.check.oracle import Oracle
from ferry.check.program import Programs
from ferry.check.replay import RandomHooks
from ferry.check.sampling import sample
from ferry.check.tensors import Array, read_safetensors, write_safetensors
from ferry.check.tracing import answer_without_origin
from ferry.check.tree_model import TreeModel, held
from ferry.check.trees import Builder, flatten_output, zeros
from ferry.check.uses import Use, uses_of
from ferry.check.weights import WeightMap
from ferry.step import Context, Json

#: Stages without which no later one can run, in order.
GATES = ("parse", "import", "build", "weights", "shapes")

#: Stages that exist for module classes only.
CLASS_STAGES = ("build", "weights")


def prepare() -> None:
    """Before the zygote forks: tracers answer quickly that they have no sharding."""
    answer_without_origin(jax.core.Tracer)


def run(ctx: Context) -> Json:
    """The entry of the step."""
    check = Check(ctx.request, read_safetensors(ctx.read("given")))
    try:
        check.run()
    finally:
        check.close()
    ctx.write("actual", write_safetensors(check.cases.arrays))
    return check.result()


class Check:
    """One candidate, one oracle: the stages in order, and what they left behind."""

    def __init__(self, request: Json, given: Mapping[str, Array]) -> None:
        plan = request["plan"]
        self._plan = plan
        self._request = request
        self._tensors = request.get("tensors") or []
        self._locate = bool(request.get("locate"))
        self._sample = request.get("sample")
        self._oracle = Oracle(plan, self._tensors, given)
        text = (request.get("adapter") or {}).get("content")
        self._candidate = Candidate(request["files"], _entry(request, plan), text)
        self._adapter = Adapter()
        self._guard = Guard(self._candidate.files)
        self._hooks = RandomHooks()
        self._stack = ExitStack()
        self.cases = Cases(self._oracle, self._candidate.trees.values())
        self.cases.remembered = lambda: remembered(self._candidate.modules())
        self._stages: Json = {}
        self._shapes: Json = {}
        self._inferred: Json = {}

    def run(self) -> None:
        """Run the stages; a failed gate leaves the later ones not run."""
        self._hooks.install()
        self._stack.callback(self._hooks.uninstall)
        self._stack.enter_context(traced_arrays_are_data())
        self._stack.callback(self._guard.close)
        self._guard.open()
        wanted = self._request["stages"]
        names = [*GATES, *(name for name in wanted if name not in GATES)]
        if "shapes" not in wanted:
            names.remove("shapes")
        if self._locate:
            names = [*GATES[:-1], "forward_f64"]
        if self._sample is not None:
            names = [*GATES[:-1], "sample"]
        for position, name in enumerate(names):
            self._stages[name] = self._stage(name)
            if name in GATES and self._stages[name]["status"] == "failed":
                for later in names[position + 1 :]:
                    self._stages[later] = _record("not_run")
                return

    def close(self) -> None:
        """Leave the process as it was."""
        self._candidate.unload()
        self._stack.close()

    def result(self) -> Json:
        """The step's result."""
        return {
            "stages": self._stages,
            "shapes": self._shapes,
            "outputs": self.cases.outputs,
            "arguments": self.cases.arguments,
            "draws": self.cases.draws,
            "absent": self.cases.absent,
            "assumed": self.cases.assumed,
            "unreplayed": self.cases.unreplayed,
            "assumptions": self.cases.assumptions,
            "jit_seconds": self.cases.programs and self.cases.programs.jit_seconds,
            **self._inferred,
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
            self._guard.verify()
        except BaseException as error:  # a candidate may raise anything, SystemExit too
            found = describe(self._guard.found or error, self._candidate.files)
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
        if self._sample is not None:
            wanted = self._sample
            return lambda: sample(self.cases, self._oracle, wanted)
        if not self.cases.of(name):
            return "not_applicable"
        return self.cases.locate if self._locate else lambda: self.cases.run(name)

    def _import(self) -> None:
        self._candidate.load(any_style=bool(self._request.get("given")))
        if self._candidate.adapter is not None:
            self._adapter.load(self._candidate.adapter)
        if not self._candidate.is_class:
            self._use_programs(None)

    def _build(self) -> None:
        construct = constructor(self._candidate, self._plan["init"], self._adapter)

        def example() -> tuple[list[Any], dict[str, Any]]:
            return self._builder().examples(self._plan["inputs"][0])

        self.cases.blueprint = blueprint(held(construct, self._adapter, example))
        self._use_programs(self.cases.blueprint.construct)

    def _use_programs(self, construct: Callable[[], Any] | None) -> None:
        target, hooks = self._candidate.target, self._hooks
        self.cases.programs = Programs(construct, target, hooks, self._builder(), self._invoke)

    def _builder(self) -> Builder:
        return Builder(vars(self._candidate.module))

    def _invoke(self, model: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call the entry, through the adapter if it is not one that holds it already."""
        if isinstance(model, TreeModel):
            return model(*args, **kwargs)
        return self._adapter.call_with(model, args, kwargs, getattr(model, "training", False))

    def _fit_weights(self) -> None:
        weights = self._request.get("weights")
        assert self.cases.blueprint is not None
        shapes, aliases = self.cases.blueprint.shapes, self.cases.blueprint.aliases
        if weights is None:
            if not self._request.get("given"):
                raise WeightMapError("missing", "the candidate has no weight map")
            weights = self._infer_weights(shapes)
        self.cases.map = WeightMap(weights, self._tensors, shapes, aliases)
        self._oracle.use_map(self.cases.map)

    def _infer_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> Json:
        """The map of the choice that the request names, of those that may hold."""
        inference = Inference(
            self._tensors, shapes, self._uses(), self._plan.get("submodules") or ()
        )
        choices = inference.choices()
        wanted = self._request.get("map_choice") or 0
        if not choices:
            left = inference.unmatched()
            self._inferred = {"weights": None, "map_choices": 0, "unmatched": left}
            names = [*left["source"], *left["target"]]
            message = f"no map fits; without a counterpart: {', '.join(names[:8])}"
            raise WeightMapError("unmatched", message)
        if wanted >= len(choices):
            raise WeightMapError("no_such_choice", f"there are {len(choices)} maps to try")
        chosen = dict(choices[wanted])
        self._inferred = {"weights": chosen, "map_choices": len(choices)}
        return chosen

    def _uses(self) -> dict[str, Use]:
        """What the candidate's program does with its variables; nothing where it can't be traced."""
        assert self.cases.blueprint is not None
        argset = self._plan["inputs"][0]

        def call(model: Any, tensors: Mapping[str, Any]) -> Any:
            args, kwargs = self._builder().arguments(argset, tensors)
            return flatten_output(self._invoke(model, args, kwargs))[1]

        try:
            return uses_of(self.cases.blueprint.construct, call, zeros(argset))
        except Exception:  # the stages that follow run the program, and say what is wrong with it
            return {}

    def _infer_shapes(self) -> None:
        assert self.cases.programs is not None
        for index in range(len(self._plan["inputs"])):
            call, numbers = self._oracle.shapes_call(index)
            self._shapes[f"x{index}"] = self.cases.programs.shapes(call, numbers)


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
