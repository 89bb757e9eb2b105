"""Step `accept`: what nobody has seen before the candidate was final (steps.md, 5a).

Round 0 has fresh weights, values and sizes (heldout) and inputs meant to separate rules
(worst_case); round 1 searches near the input that round 0 found worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ferry.oracle.calibrate import hearing
from ferry.oracle.capture import known_inputs, make_plan, tensors_of, versions, write_record
from ferry.oracle.cases import Copies, Runner
from ferry.oracle.climb import climbed, neighbours
from ferry.oracle.inputs import Inputs, generator_for, other_set
from ferry.oracle.noise import FLOAT32_ULP, HEARD, ULP, Prober, apart, largest
from ferry.oracle.patterns import PATTERNS, SMOOTH, all_whole, patterned
from ferry.oracle.precision import steady
from ferry.oracle.program import Program, opened
from ferry.oracle.recipe import Weights, draw_weights, shaken
from ferry.oracle.record import Record, has_nonfinite, new_case
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
# An input where one ulp of it moves the outputs further decides nothing: there the source's
# error is small by luck, or a jump is near
LENIENCE = 16.0
FLOAT32_FLOOR = 2.0**-20


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
        built = self.runner.copies.built
        if not isinstance(built, nn.Module):
            return {}
        return {
            v.name: _unstored(self.given[f"w{draw}/{v.name}"], v.tensor.dtype)
            for v in variables(built)
        }

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

    def heldout(self) -> None:
        """The stage heldout."""
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
        if any(case["stage"] == "resize" for case in self.plan["cases"]):
            chooser = Chooser(self.runner, self.inputs, weights)
            key = ("heldout", self.seed)
            for found, run in chooser.resized(record.inputs[:2], HELDOUT, key, known=shapes):
                self.stages.keep_truth("heldout", 0, record.add_input(found), run)
        for draw in range(self.plan["draws"] if weights else 0):
            self._heldout(record.add_weights(self.perturbed(draw)), 0)

    def _heldout(self, draw: int, index: int) -> None:
        run = self.stages.float64(draw, index)
        self.stages.keep_truth("heldout", draw, index, run)

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
        noise = prober.conditioning(weights, arguments, run, ULP)
        if noise > UNDECIDED:
            return
        index = self.record.add_input(arguments)
        case = new_case("worst_case", 0, index, "float64") | {"pattern": name}
        if noise > HEARD:
            case["noise"] = float(f"{noise:.1e}")
        if run.output is not None:
            self.record.outputs[index] = run.output
        truth = self.record.add(case, run)
        single = self.runner.forward(weights, arguments, "float32", run.random.draws)
        moved = prober.conditioning(weights, arguments, run, FLOAT32_ULP)
        allowed = max(LENIENCE * apart(single, run), FLOAT32_FLOOR)
        if single.random.tied or has_nonfinite(single.leaves) or moved > allowed:
            return
        case = new_case("worst_case", 0, index, "float32", truth["id"])
        self.record.add(case | {"pattern": name}, single)


def collapsed(outputs: Leaves, base: Leaves) -> bool:
    """Whether an output that is not zero is so small that only its rounding errors are left."""
    for name, leaf in outputs.items():
        size, usual = largest([leaf]), largest([base[name]] if name in base else [])
        if 0 < size < COLLAPSED * usual:
            return True
    return False


def _unstored(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of given in the source's own dtype."""
    return torch.view_as_complex(value) if dtype.is_complex else value


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


def _worst_input(search: Search, index: int) -> Arguments:
    """The argument set that the round before recorded under `index`."""
    prefix = f"x{index}/"
    recorded = {n.removeprefix(prefix): v for n, v in search.given.items() if n.startswith(prefix)}

    def read(path: str, like: Tensor) -> Tensor:
        return _unstored(recorded[path], like.dtype)

    return search.inputs.first.mapped(read)


def accept(program: Program, request: Json, given: Leaves, wanted: Json) -> Search:
    """Run the cases of one round."""
    inputs = known_inputs(program, request)
    seed = int(wanted["seed"])
    stages = Stages(Runner(Copies(program, inputs.first), seed % 2**32), Record())
    search = Search(stages, inputs, request["plan"], given, seed)
    record = stages.record
    if not wanted.get("round"):
        search.heldout()
        base = {f"out/{p}": v for p, v in record.results(stages.truths[0, 0][0]).items()}
        search.worst_case(_patterns(search), base)
        return search
    record.add_weights(search.recorded_weights(0))
    worst = _worst_input(search, int((wanted.get("around") or {}).get("input") or 0))
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
