"""The cases of a plan, run on a candidate: what each stage runs and which arrays it hands back.

Names are those of the expected tensors (`docs/steps.md`, section 5); gradients, state and
trained parameters come back in the source's space through the weight map.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ferry.check import eager
from ferry.check.call import Outcome
from ferry.check.errors import NotReplayable
from ferry.check.model import Blueprint
from ferry.check.oracle import Oracle, has_gradients
from ferry.check.program import Programs
from ferry.check.tensors import Array
from ferry.check.training import Parts
from ferry.check.weights import WeightMap
from ferry.step import Json, StepError


class Cases:
    """Runs cases and keeps what they gave."""

    def __init__(self, oracle: Oracle, trees: Iterable[ast.Module]) -> None:
        """`trees` are the candidate's files, by which it is seen whether it may tell traces."""
        self._oracle = oracle
        self._trees = trees
        self.programs: Programs | None = None
        self.blueprint: Blueprint | None = None
        self.map: WeightMap | None = None
        self.arrays: dict[str, Array] = {}
        self.outputs: Json = {}
        self.arguments: Json = {}
        self.draws: Json = {}
        self.absent: Json = {}
        self.assumed: Json = {}
        self.unreplayed: list[str] = []
        self.assumptions: list[Json] = []
        #: A text that changes with what the candidate's Python remembers.
        self.remembered: Callable[[], str] = str
        self._runners: dict[str, Callable[[Json], None]] = {
            "forward_f64": self._forward,
            "forward_f32": self._forward,
            "resize": self._forward,
            "gradients": self._gradients,
            "train_state": self._train_state,
            "optimizer": self._optimizer,
            "jit": self._jit,
            "heldout": self._heldout,
            "worst_case": self._forward,
        }

    def of(self, stage: str) -> list[Json]:
        """The plan's cases of a stage, none for one that has no cases."""
        return self._oracle.cases(stage) if stage in self._runners else []

    def run(self, stage: str) -> None:
        """Run all cases of a stage."""
        cases = self.of(stage)
        for case in cases:
            self.expect(case)
        for case in cases:
            try:
                self._runners[stage](case)
            except NotReplayable:
                if self.map is None or not case.get("rng"):
                    raise
                self.unreplayed.append(case["id"])

    def run_freely(self, case: Json) -> None:
        """Run one case whose calls draw on their own."""
        stage = case["stage"]
        runner = self._forward if stage == "jit" else self._runners[stage]
        runner(case)

    def locate(self) -> None:
        """The outputs of every submodule call in the first float64 case, and nothing else."""
        case = self.of("forward_f64")[0]
        self._keep(case, self._the_programs().submodules(*self._oracle.call(case)))

    def expect(self, case: Json, times: int = 1) -> None:
        """Announce the programs of a case to whoever compiles them."""
        call, programs = self._oracle.signature(case), self._the_programs()
        if times > 1:
            call = replace(call, rng=(), free=True)
        if case.get("optimizer"):
            programs.expect_training(call, times)
        else:
            programs.expect(_program_of(case), call, times)

    def _heldout(self, case: Json) -> None:
        """A case of another stage with fresh numbers; a forward where it says nothing else."""
        kinds = {"optimizer": self._optimizer, "inputs": self._train_state}
        kinds["gradients"] = self._gradients
        runner = next((run for key, run in kinds.items() if case.get(key)), self._forward)
        if _has_own_derivatives(self._trees) and not any(map(has_gradients, self.of("heldout"))):
            self._assume(
                "own_gradients",
                "the candidate defines derivatives of its own, which were compared at recorded "
                "inputs only",
            )
        runner(case)

    def _forward(self, case: Json) -> None:
        self._keep(case, self._the_programs().forward(*self._oracle.call(case)))

    def _gradients(self, case: Json) -> None:
        wanted = self.map.trainable() if self.map is not None else set()
        call, numbers = self._oracle.call(case)
        outcome = self._the_programs().gradients(call, numbers, wanted)
        arrays = _outputs(outcome.arrays)
        by_input = under("input/", outcome.arrays)
        arrays.update({f"grad/input/{path}": grad for path, grad in by_input.items()})
        if self.map is not None:
            by_source = self.map.gradients(under("var/", outcome.arrays))
            arrays.update({f"grad/param/{name}": grad for name, grad in by_source.items()})
        self._keep(case, Outcome(arrays, outcome.outputs, outcome.drawn))

    def _train_state(self, case: Json) -> None:
        call, numbers = self._oracle.call(case)
        outcome = self._the_programs().steps(call, numbers)
        arrays = _outputs(outcome.arrays)
        arrays.update(self._state(case, outcome))
        self._keep(case, Outcome(arrays, outcome.outputs, outcome.drawn))

    def _state(self, case: Json, outcome: Outcome) -> dict[str, Array]:
        """The source's state after the steps of a case, as far as the map gives it back."""
        if self.map is None:
            return {}
        state = self.map.state(under("var/", outcome.arrays))
        absent = [f"state/{name}" for name in self.map.stateful() if name not in state]
        if absent:
            self.absent[case["id"]] = absent
        return {f"state/{name}": value for name, value in state.items()}

    def _optimizer(self, case: Json) -> None:
        assert self.map is not None
        call, numbers = self._oracle.call(case)
        recipe, trained = case["optimizer"], self._trained()
        before = self._oracle.source_weights(case["draw"], case["dtype"])
        parts = Parts([e for e in self.map.entries if not e.isometric and e.to in trained], before)
        always = trained & self.map.untrained()
        outcome = self._the_programs().training(call, numbers, recipe, trained, parts, always)
        found, assumed = self.map.parameters(under("var/", outcome.arrays), before)
        arrays = _outputs(outcome.arrays)
        arrays.update({f"param/{name}": value for name, value in found.items()})
        arrays.update(self._state(case, outcome))
        if assumed:
            self._assume_sums(case, assumed)
        self._keep(case, Outcome(arrays, outcome.outputs, outcome.drawn))

    def _jit(self, case: Json) -> None:
        call, numbers = self._oracle.call(case)
        programs = self._the_programs()
        compiled = programs.public_jit(call, numbers)
        self._keep(case, compiled)
        before = self.remembered()
        programs.retrace(call, numbers)
        if self.remembered() != before:
            message = "the candidate's Python remembers how often it was called"
            raise StepError("candidate_error", message, why="keeps_state")
        few = programs.operations(call, numbers) <= eager.FEW_OPERATIONS
        if few or eager.may_tell_traces(self._trees):
            with eager.quick_operations():
                plain = programs.eager(call, numbers)
            truth = under(f"{case.get('truth')}/", self.arrays)
            eager.compare(plain.arrays, compiled.arrays, truth)

    def _keep(self, case: Json, outcome: Outcome) -> None:
        """Store a case's arrays and what was seen while tracing it."""
        name = case["id"]
        self.arrays.update({f"{name}/{path}": array for path, array in outcome.arrays.items()})
        several = "inputs" in case
        self.outputs[name] = outcome.outputs if several else outcome.outputs[0]
        if outcome.arguments is not None:
            self.arguments[name] = outcome.arguments
        if outcome.drawn:
            self.draws[name] = outcome.drawn
        hidden = [n for n, draw in enumerate(outcome.drawn) if draw["op"] == "gumbel"]
        if weights := [f"draw/{n}/weights" for n in hidden if _by_weights(case, n)]:
            self.absent[name] = [*self.absent.get(name, ()), *weights]

    def _trained(self) -> set[str]:
        """The variables that an optimizer moves.

        A tree of arrays says of none that it is not trained, so there it is what the source
        trains, and that is an assumption where it makes a difference.
        """
        assert self.map is not None and self.blueprint is not None
        trained = self.blueprint.trained
        spared = trained & self.map.untrained()
        if self.blueprint.declares or not spared:
            return trained
        self._assume(
            "trained_as_source",
            "the candidate does not say which of its arrays are trained; those that the source "
            f"does not train were not: {', '.join(sorted(spared))}",
        )
        return trained - spared

    def _assume_sums(self, case: Json, names: list[str]) -> None:
        self.assumed[case["id"]] = [f"param/{name}" for name in names]
        self._assume(
            "optimizer_sum",
            "the map adds or scales parameters, and an optimizer moves their sum by other steps "
            f"than the source moves them; they were moved as in the source: {', '.join(names)}",
        )

    def _assume(self, code: str, text: str) -> None:
        found = {"code": code, "text": text, "file": None, "line": None}
        if found not in self.assumptions:
            self.assumptions.append(found)

    def _the_programs(self) -> Programs:
        assert self.programs is not None
        return self.programs


def _program_of(case: Json) -> str:
    """The kind of program that runs a case without an optimizer."""
    if "inputs" in case:
        return "steps"
    return "gradients" if has_gradients(case) else "forward"


def _has_own_derivatives(trees: Iterable[ast.Module]) -> bool:
    """Whether a candidate may define the derivative of a function of its own."""
    names = {"custom_vjp", "custom_jvp", "custom_gradient"}
    return any(
        getattr(node, "attr", getattr(node, "id", getattr(node, "name", None))) in names
        for tree in trees
        for node in ast.walk(tree)
    )


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays below `prefix`, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _by_weights(case: Json, number: int) -> bool:
    """Whether a recorded draw chose by weights, which Gumbel's trick adds after its own draw."""
    return bool(case["rng"][number]["op"] == "multinomial")


def _outputs(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of calls, and what their draws ask for."""
    return {n: array for n, array in arrays.items() if n.startswith(("out/", "draw/"))}
