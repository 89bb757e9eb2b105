"""Step `capture`: the oracle. What the source computes, under a frozen recipe."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.fx.experimental.symbolic_shapes  # autograd would import it in every step
from torch import Tensor, nn

from ferry.oracle.calibrate import DEAF, hearing, movement
from ferry.oracle.cases import Copies, Run, Runner
from ferry.oracle.draws import Draw
from ferry.oracle.facts import collect_facts
from ferry.oracle.inputs import (
    Inputs,
    batch_shapes,
    generator_for,
    other_set,
    require_bound,
    resolve_inputs,
)
from ferry.oracle.module_facts import module_facts
from ferry.oracle.precision import steady
from ferry.oracle.program import Program, opened
from ferry.oracle.recipe import Weights, draw_weights
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments, Leaves, stored
from ferry.step import Context, StepError

Json = dict[str, Any]


@dataclass
class Capture:
    """The oracle under construction."""

    runner: Runner
    inputs: list[Arguments]
    weights: list[Weights]
    given: Leaves = field(default_factory=dict)
    expected: Leaves = field(default_factory=dict)
    cases: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    submodules: list[str] = field(default_factory=list)
    cotangents: list[Leaves] = field(default_factory=list)
    reaction: float | None = None
    truths: dict[tuple[int, int], tuple[Json, list[Draw]]] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def add(self, case: Json, run: Run) -> Json:
        """Keep what `run` gave as the next case."""
        identity = f"c{len(self.cases)}"
        draws = run.random.draws
        rng = [draw.to_json(f"rng/{identity}/{n}") for n, draw in enumerate(draws)]
        self.given |= {d["tensor"]: r.values for d, r in zip(rng, draws, strict=True)}
        self.expected |= {f"{identity}/{name}": leaf for name, leaf in run.leaves.items()}
        if any(_has_nonfinite(leaf) for leaf in run.leaves.values()):
            self.note(f"{case['stage']}: the source's own results are not all finite")
        if run.random.drew_elsewhere:
            self.note("the source draws from `random` or numpy, which is not replayed")
        if run.random.diverged:
            self.note("the float32 runs draw other random numbers than the float64 ones")
        case = {"id": identity, **case, "rng": rng, "output": run.output}
        self.cases.append(case)
        return case

    def forwards(self) -> None:
        """The stages forward_f64 and forward_f32, each draw with each input."""
        pairs = [(d, i) for d in range(len(self.weights)) for i in range(len(self.inputs))]
        for d, i in pairs:
            first = not self.cases
            run = self.float64(d, i, hooked=first)
            case = self.add(_case("forward_f64", d, i, "float64"), run)
            self.truths[d, i] = (case, run.random.draws)
            if run.calls is not None:
                self.submodules = run.calls.calls
                sub = run.calls.tensors.items()
                self.expected |= {f"{case['id']}/sub/{name}": leaf for name, leaf in sub}
                if run.calls.truncated:
                    self.note("the outputs of the later submodules are too large to be kept")
        for d, i in pairs:
            self.float32("forward_f32", d, i)

    def float64(self, draw: int, index: int, *, hooked: bool) -> Run:
        """A float64 forward; where only float32 works the error says that."""
        weights, arguments = self.weights[draw], self.inputs[index]
        try:
            return self.runner.forward(weights, arguments, "float64", hooked=hooked)
        except StepError as error:
            self.runner.forward(weights, arguments, "float32")
            error.why = "the source runs in float32, but not in float64, so it has no truth"
            raise

    def float32(self, stage: str, draw: int, index: int) -> None:
        """A float32 forward that repeats the draws of its float64 truth."""
        truth, draws = self.truths[draw, index]
        run = self.runner.forward(self.weights[draw], self.inputs[index], "float32", draws)
        self.add(_case(stage, draw, index, "float32", truth["id"]), run)

    def gradients(self) -> None:
        """The stage gradients; no case where nothing can be derived."""
        for d, weights in enumerate(self.weights):
            i = d % len(self.inputs)
            try:
                run = self.runner.gradients(weights, self.inputs[i], self.cotangents[i])
            except StepError as error:
                self.note(f"no gradients: {error.message}")
                return
            if run is None:
                self.note("no gradients: no output depends on a parameter or input by a derivative")
                return
            self.add(_case("gradients", d, i, "float64"), run)

    def train_state(self, steps: int) -> None:
        """The stage train_state, on the first draw."""
        order = [k % len(self.inputs) for k in range(steps)]
        try:
            run = self.runner.train_state(self.weights[0], [self.inputs[i] for i in order])
        except StepError as error:
            self.note(f"no train_state: {error.message}")
            return
        case = _case("train_state", 0, order[0], "float64") | {"mode": "train", "inputs": order}
        self.add(case | {"outputs": run.outputs}, run)

    def draw_cotangents(self, seed: int) -> None:
        """A random cotangent for each floating output leaf of each input set."""
        for i in range(len(self.inputs)):
            case = self.truths[0, i][0]
            outputs = self._outputs(case["id"])
            complex_paths = _complex_paths(case["output"])
            own = {
                path: _normal(leaf, seed, i, path)
                for path, leaf in outputs.items()
                if leaf.is_floating_point() and path not in complex_paths
            }
            self.cotangents.append(own)
            self.given |= {f"ct{i}/{path}": value for path, value in own.items()}

    def weight_reaction(self) -> float | None:
        """How far the output of the first inputs moves from one weight draw to the next."""
        if len(self.weights) < 2 or not self.weights[0]:
            return None
        a, b = (self._outputs(self.truths[d, 0][0]["id"]) for d in (0, 1))
        return movement(a, b)

    def _outputs(self, case: str) -> Leaves:
        """The output leaves of a case by path."""
        prefix = f"{case}/out/"
        return {
            name.removeprefix(prefix): leaf
            for name, leaf in self.expected.items()
            if name.startswith(prefix)
        }


def _normal(like: Tensor, seed: int, index: int, path: str) -> Tensor:
    return torch.randn(like.shape, generator=generator_for("ct", seed, index, path)).double()


def _complex_paths(spec: Json, path: str = "") -> set[str]:
    if spec["t"] == "tensor":
        return {path or "0"} if spec["dtype"].startswith("complex") else set()
    keys = spec.get("keys", range(len(spec.get("items", ()))))
    found: set[str] = set()
    for key, item in zip(keys, spec.get("items", ()), strict=True):
        found |= _complex_paths(item, f"{path}/{key}" if path else str(key))
    return found


def _has_nonfinite(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def _case(stage: str, draw: int, index: int, dtype: str, truth: str | None = None) -> Json:
    return {
        "stage": stage,
        "draw": draw,
        "input": index,
        "mode": "eval",
        "dtype": dtype,
        "truth": truth,
    }


def choose_inputs(
    runner: Runner, inputs: Inputs, count: int, weights: Weights
) -> tuple[list[Arguments], list[str]]:
    """`count` argument sets; the second and later have another batch size where accepted."""
    sets, notes = [inputs.first], []
    accepted: dict[str, tuple[int, ...]] = {}
    for shapes in batch_shapes(inputs.first.leaves()) if count > 1 else []:
        if _accepts(runner, other_set(inputs, shapes, (runner.seed, 1)), weights):
            accepted = shapes
            break
    else:
        notes.append("the source accepts no other batch size; all inputs have the same shapes")
    for i in range(1, count):
        shapes = accepted if i % 2 else {}
        sets.append(other_set(inputs, shapes, (runner.seed, i)))
    return sets, notes if count > 1 else []


def _accepts(runner: Runner, arguments: Arguments, weights: Weights) -> bool:
    modes = ("eval", "train") if runner.program.is_class else ("eval",)
    try:
        for mode in modes:
            runner.forward(weights, arguments, "float32", mode=mode)
    except StepError:
        return False
    return True


def capture(program: Program, request: Json) -> Capture:
    """Run all cases of the recipe."""
    recipe = request.get("recipe") or {}
    seed = int(recipe.get("seed") or 0)
    inspected = request.get("inspected") or {}
    inputs = resolve_inputs(program, request, inspected.get("inputs", {}).get("specs"))
    if inputs is None:
        raise StepError("inputs_unknown", "the inputs are not known")
    require_bound(program, inputs.first)
    runner = Runner(Copies(program, inputs.first), seed)
    built = runner.copies.built
    draws = range(int(recipe.get("draws") or 2))
    weights: list[Weights] = [{}]
    if isinstance(built, nn.Module):
        weights = [draw_weights(built, seed, d) for d in draws]
    sets, notes = choose_inputs(runner, inputs, int(recipe.get("inputs") or 2), weights[0])
    heard = [hearing(runner, own, inputs, d) for d, own in enumerate(weights)]
    weights = [own for own, _, _ in heard]
    oracle = Capture(runner, sets, weights, notes=notes)
    oracle.reaction = min(moved for _, moved, _ in heard) if inputs.families else None
    if any(calibrated for _, _, calibrated in heard):
        oracle.note(
            "at the built scales the output hardly reacts to the input, so running statistics "
            "and weight scales were calibrated layer by layer"
        )
    if oracle.reaction is not None and oracle.reaction < DEAF:
        oracle.note(f"the output moves by only {oracle.reaction:.1g} of its size with the input")
    for d, own in enumerate(weights):
        oracle.given |= {f"w{d}/{name}": stored(value) for name, value in own.items()}
    for i, arguments in enumerate(sets):
        own = arguments.leaves()
        oracle.given |= {f"x{i}/{path}": stored(value) for path, value in own.items()}
    oracle.forwards()
    oracle.draw_cotangents(seed)
    oracle.gradients()
    if program.is_class:
        oracle.train_state(int(recipe.get("train_steps") or 2))
    oracle.float32("jit", 0, 0)
    return oracle


def make_plan(program: Program, oracle: Capture) -> Json:
    """The *plan* of steps.md."""
    return {
        "format": "ferry.plan/1",
        "kind": program.entry.kind,
        "entry": program.entry.to_json(),
        "init": program.init.to_json(),
        "draws": len(oracle.weights),
        "inputs": [arguments.spec()[0] for arguments in oracle.inputs],
        "outputs": [oracle.truths[0, i][0]["output"] for i in range(len(oracle.inputs))],
        "cases": oracle.cases,
        "submodules": oracle.submodules,
    }


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
            plan = make_plan(program, oracle)
            built = oracle.runner.copies.built
            tensors = (
                [v.to_json() for v in variables(built)] if isinstance(built, nn.Module) else []
            )
            modules = module_facts(built, program)
        seen, fact_notes = collect_facts(request, oracle.inputs, oracle.weights[0])
    ctx.write("given", safetensors.torch.save(oracle.given))
    ctx.write("expected", safetensors.torch.save(oracle.expected))
    return {
        "ok": True,
        "plan": plan,
        "facts": {"format": "ferry.facts/1", "modules": modules, **seen},
        "tensors": tensors,
        "assumptions": list((request.get("inspected") or {}).get("assumptions") or []),
        "notes": [*oracle.notes, *fact_notes],
        "reaction": {"input": oracle.reaction, "weights": oracle.weight_reaction()},
        "versions": versions(),
    }
