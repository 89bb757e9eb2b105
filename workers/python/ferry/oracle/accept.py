"""Step `accept`: what nobody has seen before the candidate was final (steps.md, 5a).

Round 0 has fresh weights, values and sizes (heldout), among them one derivative and one step in
train mode, and inputs meant to separate rules (worst_case); round 1 searches near the input that round 0 found worst.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import nn

from ferry.oracle.calibrate import hearing
from ferry.oracle.capture import known_inputs, make_plan, tensors_of, versions, write_record
from ferry.oracle.cases import Copies, Runner
from ferry.oracle.climb import climbed, neighbours
from ferry.oracle.inputs import Inputs, generator_for, other_set
from ferry.oracle.noise import FLOAT32_ULP, HEARD, ULP, Derivative, Prober, apart, largest
from ferry.oracle.patterns import PATTERNS, SMOOTH, all_whole, patterned
from ferry.oracle.precision import steady
from ferry.oracle.program import Program, opened
from ferry.oracle.recipe import Weights, draw_weights, shaken
from ferry.oracle.record import Record, has_nonfinite, new_case
from ferry.oracle.recorded import recorded_input, recorded_weights
from ferry.oracle.sets import HELDOUT, Chooser, Shapes
from ferry.oracle.stages import Stages
from ferry.oracle.state import class_name, variables
from ferry.oracle.trees import Arguments, Leaves
from ferry.step import Context, StepError

Json = dict[str, Any]

# above this a correct port may be as far off as a wrong one, so the input decides nothing
UNDECIDED = 1e-7
# outputs that shrink by more than this hold rounding errors only
COLLAPSED = 1e-6
# what the contract allows in float32: so many times the source's own error, and at least this.
# An input where one ulp of it moves an output further decides nothing: there the source's
# error is small by luck, or a jump is near
LENIENCE = 16.0
FLOAT32_FLOOR = 2.0**-20
# stages of capture that heldout repeats on what is fresh, where the source has them
REPEATED = ("gradients", "train_state")


@dataclass
class Search:
    """Adds the cases of both stages to the record of `stages`."""

    stages: Stages
    inputs: Inputs
    plan: Json
    given: Leaves
    seed: int

    @property
    def runner(self) -> Runner:
        """What runs the source."""
        return self.stages.runner

    @property
    def record(self) -> Record:
        """The record under construction."""
        return self.stages.record

    def fresh_weights(self) -> Weights:
        """A weight draw of this seed, calibrated where it needs to be."""
        built = self.runner.copies.built
        if not isinstance(built, nn.Module):
            return {}
        drawn = draw_weights(built, f"heldout {self.seed}", 0)
        return hearing(self.runner, drawn, self.inputs, self.seed)[0]

    def recorded_weights(self, draw: int) -> Weights:
        """A weight draw of capture's, or of the round before."""
        return recorded_weights(self.runner.copies.built, self.given, draw)

    def perturbed(self, draw: int) -> Weights:
        """A recorded draw in which one weight of each kind of layer is another."""
        weights = self.recorded_weights(draw)
        built = self.runner.copies.built
        assert isinstance(built, nn.Module)
        kinds: dict[str, list[Any]] = {}
        for variable in variables(built):
            if variable.kind == "parameter" and weights[variable.name].is_floating_point():
                kinds.setdefault(class_name(type(variable.owner_module)), []).append(variable)
        for kind, members in kinds.items():
            choice = torch.randint(
                len(members), (), generator=generator_for("perturbed", self.seed, draw, kind)
            )
            chosen = members[int(choice)]
            value = shaken(weights[chosen.name], self.seed, draw, chosen.name)
            tied = [v.name for v in variables(built) if v.storage == chosen.storage]
            weights |= dict.fromkeys(tied, value)
        return weights

    def base_shapes(self) -> list[Shapes]:
        """The shapes of the recorded argument sets."""
        return [_shapes(spec) for spec in self.plan["inputs"]]

    def heldout(self, repeated: Collection[str]) -> None:
        """The stage heldout; of capture's other stages those in `repeated` once more."""
        record = self.record
        shapes = self.base_shapes()
        weights = self.fresh_weights()
        record.add_weights(weights)
        own = other_set(self.inputs, shapes[0], ("heldout", self.seed))
        record.add_input(own)
        self._heldout(0, 0)
        for index in range(1, min(2, len(shapes))):
            other = other_set(self.inputs, shapes[index], ("heldout", self.seed, index), turn=index)
            self._heldout(0, record.add_input(other))
        bases = len(record.inputs)
        if self._captured("resize"):
            chooser = Chooser(self.runner, self.inputs, weights)
            key = ("heldout", self.seed)
            for found, run in chooser.resized(record.inputs[:2], HELDOUT, key, known=shapes):
                self.stages.keep_truth("heldout", 0, record.add_input(found), run)
        last = len(record.inputs) - 1
        for draw in range(self.plan["draws"] if weights else 0):
            self._heldout(record.add_weights(self.perturbed(draw)), 0)
        with suppress(StepError):
            if "gradients" in repeated and self._captured("gradients"):
                self._heldout_gradients(self.seed % bases)
        with suppress(StepError):
            if "train_state" in repeated and self._captured("train_state"):
                self._heldout_step(last)

    def _captured(self, stage: str) -> list[Json]:
        """Capture's cases of a stage."""
        return [case for case in self.plan["cases"] if case["stage"] == stage]

    def _noise(self, stage: str) -> float:
        """How inexact capture found the source in a stage."""
        return max((case.get("noise", 0.0) for case in self._captured(stage)), default=0.0)

    def _heldout(self, draw: int, index: int) -> None:
        run = self.stages.float64(draw, index)
        case = self.stages.keep_truth("heldout", draw, index, run)
        case |= noisy(self._noise("forward_f64"))

    def _heldout_gradients(self, index: int) -> None:
        """One derivative, for fresh cotangents and values in sizes that capture has too.

        Stored gradients would be found by their sizes, so other ones would not meet them.
        """
        weights, arguments = self.record.weights[0], self.record.inputs[index]
        cotangents = self.stages.cotangents_of(index, self.seed)
        run = self.runner.gradients(weights, arguments, cotangents)
        if run is None:
            return
        noise = self._noise("gradients")
        if not run.random.draws:
            slopes = {n.removeprefix("grad/"): v for n, v in run.leaves.items() if n[:4] == "grad"}
            noise = max(
                noise,
                Derivative(self.runner, weights, arguments, cotangents, slopes, []).noise(),
            )
        case = new_case("heldout", 0, index, "float64") | {"gradients": True}
        self.record.add(case | noisy(noise), run)

    def _heldout_step(self, index: int) -> None:
        """One step in train mode, and the state after it."""
        run = self.runner.train_state(self.record.weights[0], [self.record.inputs[index]])
        case = new_case("heldout", 0, index, "float64", mode="train")
        self.stages.add_steps(case | noisy(self._noise("train_state")), [index], run)

    def worst_case(self, tries: Iterator[tuple[str, Arguments]], base: Leaves) -> None:
        """The stage worst_case: each of `tries` that the source accepts and that can decide."""
        for name, arguments in tries:
            with suppress(StepError):
                self._try(name, arguments, base)

    def _try(self, name: str, arguments: Arguments, base: Leaves) -> None:
        """One input, in each precision in which its outputs are neither rounding errors nor ties."""
        weights = self.record.weights[0]
        run = self.runner.forward(weights, arguments, "float64")
        if run.random.tied or has_nonfinite(run.leaves) or collapsed(run.leaves, base):
            return
        prober = Prober(self.runner, self.inputs.movable)
        noise = max(prober.conditioning(weights, arguments, run, ULP).values(), default=0.0)
        if noise > UNDECIDED:
            return
        index = self.record.add_input(arguments)
        case = new_case("worst_case", 0, index, "float64") | {"pattern": name}
        case |= noisy(noise)
        if run.output is not None:
            self.record.outputs[index] = run.output
        truth = self.record.add(case, run)
        single = self.runner.forward(weights, arguments, "float32", run.random.draws)
        if single.random.tied or has_nonfinite(single.leaves):
            return
        moved = prober.conditioning(weights, arguments, run, FLOAT32_ULP)
        own = apart(single, run)
        if any(far > max(LENIENCE * own.get(n, 0.0), FLOAT32_FLOOR) for n, far in moved.items()):
            return
        case = new_case("worst_case", 0, index, "float32", truth["id"])
        self.record.add(case | {"pattern": name}, single)


def noisy(noise: float) -> Json:
    """What a case says of its noise: nothing where it is within the tolerance."""
    return {"noise": float(f"{noise:.1e}")} if noise > HEARD else {}


def collapsed(outputs: Leaves, base: Leaves) -> bool:
    """Whether an output that is not zero is so small that only its rounding errors are left."""
    for name, leaf in outputs.items():
        size, usual = largest([leaf]), largest([base[name]] if name in base else [])
        if 0 < size < COLLAPSED * usual:
            return True
    return False


def _shapes(argset: Json) -> Shapes:
    """The shapes of the tensors of an argument set's spec, by path."""
    found: Shapes = {}

    def walk(spec: Json, path: str) -> None:
        if spec["t"] == "tensor":
            found[path] = tuple(spec["shape"])
        keys = spec.get("keys", range(len(spec.get("items", ()))))
        for key, item in zip(keys, spec.get("items", ()), strict=True):
            walk(item, f"{path}/{key}")

    for position, spec in enumerate(argset["args"]):
        walk(spec, str(position))
    for name, spec in argset["kwargs"].items():
        walk(spec, name)
    return found


def _patterns(search: Search) -> Iterator[tuple[str, Arguments]]:
    """The inputs of round 0: every pattern, then those that gradient ascent finds."""
    shapes = search.base_shapes()[0]
    for name in PATTERNS:
        if not (name in SMOOTH and all_whole(search.inputs)):
            yield name, patterned(search.inputs, shapes, name, search.seed)
    start = search.record.inputs[0]
    found = climbed(search.runner, search.record.weights[0], search.inputs, start, search.seed)
    if found is not None:
        yield "curvature", found


def accept(program: Program, request: Json, given: Leaves, wanted: Json) -> Search:
    """Run the cases of one round."""
    inputs = known_inputs(program, request)
    seed = int(wanted["seed"])
    stages = Stages(Runner(Copies(program, inputs.first), seed % 2**32), Record())
    stages.narrow = request["plan"].get("narrow", [])
    search = Search(stages, inputs, request["plan"], given, seed)
    record = stages.record
    if not wanted.get("round"):
        search.heldout(wanted.get("repeated", REPEATED))
        base = {f"out/{p}": v for p, v in record.results(stages.truths[0, 0][0]).items()}
        search.worst_case(_patterns(search), base)
        return search
    record.add_weights(search.recorded_weights(0))
    around = int((wanted.get("around") or {}).get("input") or 0)
    worst = recorded_input(inputs, given, around)
    base = stages.runner.forward(record.weights[0], worst, "float64").leaves
    search.worst_case(neighbours(inputs, worst, seed), base)
    return search


def run(ctx: Context) -> Json:
    """The step: given and expected are written, the plan returned."""
    request = ctx.request
    wanted = request["accept"]
    later = bool(wanted.get("round"))
    source = (wanted.get("around") or {}).get("given") or "previous" if later else "given"
    given = safetensors.torch.load(bytes(ctx.read(source)))
    with steady(), opened(request) as program:
        search = accept(program, request, given, wanted)
        plan = make_plan(program, search.stages)
        tensors = tensors_of(search.runner)
    write_record(ctx, search.record)
    return {
        "ok": True,
        "plan": plan,
        "tensors": tensors,
        "assumptions": [],
        "notes": search.record.notes,
        "versions": versions(),
    }
