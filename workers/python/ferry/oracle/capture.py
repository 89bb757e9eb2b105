"""Step `capture`: the oracle. What the source computes, under a frozen recipe."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.fx.experimental.symbolic_shapes  # autograd would import it in every step
from torch import nn

from ferry.oracle.calibrate import DEAF, hearing
from ferry.oracle.cases import Copies, Runner
from ferry.oracle.facts import collect_facts
from ferry.oracle.inputs import Inputs, require_bound, resolve_inputs
from ferry.oracle.module_facts import module_facts
from ferry.oracle.parts import class_parts
from ferry.oracle.precision import steady
from ferry.oracle.program import Program, opened
from ferry.oracle.recipe import Weights, draw_weights
from ferry.oracle.record import Record
from ferry.oracle.sensitivity import Reaction, measure
from ferry.oracle.sets import NO_RESIZE, RESIZE, Chooser
from ferry.oracle.settings import Recipe
from ferry.oracle.stages import Stages
from ferry.oracle.state import variables
from ferry.step import Context, StepError

Json = dict[str, Any]

CALIBRATED = (
    "at the built scales the output hardly reacts to the input, so running statistics "
    "and weight scales were calibrated layer by layer"
)


@dataclass
class Oracle:
    """A finished oracle. Its first `counted` input sets are the recipe's, the others of other sizes."""

    stages: Stages
    reaction: Reaction
    counted: int

    @property
    def record(self) -> Record:
        """Its tensors and cases."""
        return self.stages.record


def known_inputs(program: Program, request: Json) -> Inputs:
    """The inputs that inspect found."""
    inspected = request.get("inspected") or {}
    inputs = resolve_inputs(program, request, inspected.get("inputs", {}).get("specs"))
    if inputs is None:
        raise StepError("inputs_unknown", "the inputs are not known")
    require_bound(program, inputs.first)
    return inputs


def heard_weights(
    runner: Runner, inputs: Inputs, recipe: Recipe, record: Record
) -> tuple[list[Weights], float]:
    """The weight draws, calibrated where needed, and the least reaction to the input of any."""
    built = runner.copies.built
    drawn: list[Weights] = [{}]
    if isinstance(built, nn.Module):
        drawn = [draw_weights(built, recipe.seed, d) for d in range(recipe.draws)]
    heard = [hearing(runner, own, inputs, d) for d, own in enumerate(drawn)]
    if any(calibrated for _, _, calibrated in heard):
        record.note(CALIBRATED)
    return [own for own, _, _ in heard], min(moved for _, moved, _ in heard)


def capture(program: Program, request: Json) -> Oracle:
    """Run all cases of the recipe."""
    recipe = Recipe.of(request.get("recipe"))
    inputs = known_inputs(program, request)
    runner = Runner(Copies(program, inputs.first), recipe.seed)
    record = Record()
    weights, heard = heard_weights(runner, inputs, recipe, record)
    chooser = Chooser(runner, inputs, weights[0], record.notes)
    sets = chooser.whole(recipe) if recipe.whole else chooser.narrow(recipe.inputs)
    for own in weights:
        record.add_weights(own)
    for arguments in sets:
        record.add_input(arguments)
    stages = Stages(runner, record)
    stages.forwards()
    stages.draw_cotangents(recipe.seed)
    resized = list(chooser.resized(sets, RESIZE[: recipe.resize]))
    if recipe.resize and not resized:
        record.note(NO_RESIZE)
    stages.resize(resized)
    stages.gradients()
    if program.is_class:
        stages.train_state(recipe.train_steps)
        stages.optimizer(recipe.optimizer_steps)
    stages.jit()
    if recipe.whole:
        stages.noise(inputs.movable)
    reaction = measure(stages, inputs, heard, each=recipe.whole)
    if reaction.input is not None and reaction.input < DEAF:
        record.note(f"the output moves by only {reaction.input:.1g} of its size with the input")
    return Oracle(stages, reaction, len(sets))


def make_plan(program: Program, stages: Stages) -> Json:
    """The *plan* of steps.md."""
    record = stages.record
    return {
        "format": "ferry.plan/1",
        "kind": program.entry.kind,
        "entry": program.entry.to_json(),
        "init": program.init.to_json(),
        "draws": len(record.weights),
        "inputs": [arguments.spec()[0] for arguments in record.inputs],
        "outputs": [record.outputs[i] for i in range(len(record.inputs))],
        "cases": record.cases,
        "submodules": stages.submodules,
        "narrow": stages.narrow,
    }


def tensors_of(runner: Runner) -> list[Json]:
    """The *tensor* of steps.md of each variable of the source."""
    built = runner.copies.built
    return [v.to_json() for v in variables(built)] if isinstance(built, nn.Module) else []


def write_record(ctx: Context, record: Record) -> None:
    """Hand out the tensors."""
    ctx.write("given", safetensors.torch.save(record.given))
    ctx.write("expected", safetensors.torch.save(record.expected))


def versions() -> Json:
    """What the oracle was made with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def run(ctx: Context) -> Json:
    """The step: given and expected are written, plan and facts returned."""
    request = ctx.request
    with steady():
        with opened(request) as program:
            oracle = capture(program, request)
            runner, record = oracle.stages.runner, oracle.record
            plan = make_plan(program, oracle.stages) | {"vacuous": oracle.reaction.vacuous}
            tensors = tensors_of(runner)
            modules = module_facts(runner.copies.built, program)
            parts = class_parts(program, runner.copies.built, record.weights[0], record.inputs[0])
            seconds = runner.eager_seconds(record.weights[0], record.inputs[0])
        seen, fact_notes = collect_facts(
            request,
            record.inputs[: oracle.counted],
            record.weights[0],
            record.inputs[oracle.counted :],
        )
    write_record(ctx, record)
    return {
        "ok": True,
        "plan": plan,
        "facts": {"format": "ferry.facts/1", "modules": modules, **seen},
        "tensors": tensors,
        "parts": parts,
        "eager_seconds": seconds,
        "assumptions": list((request.get("inspected") or {}).get("assumptions") or []),
        "notes": [*record.notes, *fact_notes],
        "reaction": oracle.reaction.to_json(),
        "versions": versions(),
    }
