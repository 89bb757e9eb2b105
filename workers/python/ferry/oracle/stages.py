"""The stages of an oracle: which cases each has, and what of the source they record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.cases import Run, Runner
from ferry.oracle.draws import Draw, Draws
from ferry.oracle.inputs import generator_for
from ferry.oracle.noise import HEARD, ULP, Derivative, Prober, moved
from ferry.oracle.optimize import Step, optimize, optimizers
from ferry.oracle.precision import NarrowSeen
from ferry.oracle.record import Record, new_case
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments, Leaves
from ferry.step import StepError

Json = dict[str, Any]

# what is found inexact, and the float64 stages that it concerns
# optimizer steps that move one rounding error further than this decide nothing
AMPLIFIED = 1e-8

NOISY_STAGES = {
    "outputs": ("forward_f64", "resize", "gradients", "train_state", "optimizer"),
    "gradients": ("gradients", "optimizer"),
}
NOTHING_TO_DERIVE = "no gradients: no output depends on a parameter or input by a derivative"


@dataclass
class Stages:
    """Adds cases to `record`, stage by stage. `forwards` and `cotangents` come first."""

    runner: Runner
    record: Record
    submodules: list[str] = field(default_factory=list)
    cotangents: list[Leaves] = field(default_factory=list)
    truths: dict[tuple[int, int], tuple[Json, list[Draw]]] = field(default_factory=dict)
    single: Run | None = None
    narrow: list[str] = field(default_factory=list)

    def forwards(self) -> None:
        """The stages forward_f64 and forward_f32, each draw with each input."""
        record = self.record
        pairs = [(d, i) for d in range(len(record.weights)) for i in range(len(record.inputs))]
        for d, i in pairs:
            first = not record.cases
            run = self.float64(d, i, hooked=first)
            case = self.keep_truth("forward_f64", d, i, run)
            if run.calls is not None:
                self.submodules = run.calls.calls
                sub = run.calls.tensors.items()
                record.expected |= {f"{case['id']}/sub/{name}": leaf for name, leaf in sub}
                if run.calls.truncated:
                    record.note("the outputs of the later submodules are too large to be kept")
        with NarrowSeen() as seen:
            self.single = self.float32("forward_f32", *pairs[0])
        self.narrow = sorted(seen.names)
        for d, i in pairs[1:]:
            self.float32("forward_f32", d, i)

    def float64(self, draw: int, index: int, *, hooked: bool = False) -> Run:
        """A float64 forward; where only float32 works the error says that."""
        weights, arguments = self.record.weights[draw], self.record.inputs[index]
        try:
            return self.runner.forward(weights, arguments, "float64", hooked=hooked)
        except StepError as error:
            self.runner.forward(weights, arguments, "float32")
            error.why = "the source runs in float32, but not in float64, so it has no truth"
            raise

    def keep_truth(self, stage: str, draw: int, index: int, run: Run) -> Json:
        """Add a float64 forward as a case that float32 ones may refer to."""
        case = self.record.add(new_case(stage, draw, index, "float64"), run)
        self.truths[draw, index] = (case, run.random.draws)
        if run.output is not None:
            self.record.outputs.setdefault(index, run.output)
        return case

    def float32(self, stage: str, draw: int, index: int) -> Run:
        """A float32 forward that repeats the draws of its float64 truth."""
        truth, draws = self.truths[draw, index]
        weights, arguments = self.record.weights[draw], self.record.inputs[index]
        run = self.runner.forward(weights, arguments, "float32", draws)
        self.record.add(new_case(stage, draw, index, "float32", truth["id"]), run)
        return run

    def jit(self) -> None:
        """The stage jit, for which the source has the results of the first float32 case."""
        assert self.single is not None
        truth, _ = self.truths[0, 0]
        self.record.add(new_case("jit", 0, 0, "float32", truth["id"]), self.single.again())

    def draw_cotangents(self, seed: int) -> None:
        """A random cotangent for each floating output leaf of each input set so far."""
        for i in range(len(self.record.inputs)):
            self.cotangents.append(self.cotangents_of(i, seed))

    def cotangents_of(self, index: int, seed: int) -> Leaves:
        """Draw the cotangents of one input set, by the outputs under the first weights."""
        case = self.truths[0, index][0]
        complex_paths = _complex_paths(case["output"])
        own = {
            path: _normal(leaf, seed, index, path)
            for path, leaf in self.record.results(case).items()
            if leaf.is_floating_point() and path not in complex_paths
        }
        self.record.given |= {f"ct{index}/{path}": value for path, value in own.items()}
        return own

    def gradients(self) -> None:
        """The stage gradients; no case where nothing can be derived."""
        record = self.record
        for d, weights in enumerate(record.weights):
            i = d % len(self.cotangents)
            try:
                run = self.runner.gradients(weights, record.inputs[i], self.cotangents[i])
            except StepError as error:
                record.note(f"no gradients: {error.message}")
                return
            if run is None:
                record.note(NOTHING_TO_DERIVE)
                return
            record.add(new_case("gradients", d, i, "float64"), run)

    def train_state(self, steps: int) -> None:
        """The stage train_state, on the first draw."""
        record = self.record
        order = [k % len(self.cotangents) for k in range(steps)]
        try:
            run = self.runner.train_state(record.weights[0], [record.inputs[i] for i in order])
        except StepError as error:
            record.note(f"no train_state: {error.message}")
            return
        self.add_steps(new_case("train_state", 0, order[0], "float64", mode="train"), order, run)

    def resize(self, found: list[tuple[Arguments, Run]]) -> None:
        """The stage resize: further argument sets with the runs that found them."""
        for arguments, run in found:
            index = self.record.add_input(arguments)
            self.keep_truth("resize", 0, index, run)

    def optimizer(self, steps: int) -> None:
        """The stage optimizer, on the first draw; none where there are no gradients."""
        record = self.record
        derived = [case for case in record.cases if case["stage"] == "gradients"]
        built = self.runner.copies.built
        if not steps or not derived or not isinstance(built, nn.Module):
            return
        slopes = record.results(derived[0], "grad/param")
        trained = [
            v.name
            for v in variables(built)
            if v.name in slopes and v.tensor.requires_grad and v.tensor.is_floating_point()
        ]
        order = [k % min(2, len(self.cotangents)) for k in range(steps)]
        given = [Step(record.inputs[i], self.cotangents[i]) for i in order]
        weights = record.weights[0]
        choices = optimizers(
            {name: weights[name] for name in trained}, {name: slopes[name] for name in trained}
        )
        if not choices:
            record.note("no optimizer: no trainable parameter has a gradient")
        for options in choices:
            try:
                run = optimize(self.runner, weights, given, options)
                noise = self._amplified(given, options, run)
            except StepError as error:
                record.note(f"no optimizer: {error.message}")
                return
            if noise > AMPLIFIED:
                record.note(
                    f"no {options['name']}: its steps amplify rounding errors to {noise:.0e}"
                )
                continue
            case = new_case("optimizer", 0, order[0], "float64", mode="train")
            case |= {"noise": float(f"{noise:.1e}")} if noise > HEARD else {}
            self.add_steps(case | {"optimizer": options}, order, run)

    def _amplified(self, given: list[Step], options: Json, run: Run) -> float:
        """How far the steps move apart when the weights differ by one rounding error."""
        weights = self.record.weights[0]
        near, _ = Prober(self.runner, set()).nudge(weights, given[0].arguments, ULP)
        return moved(
            run.leaves, optimize(self.runner, near, given, options, run.random.draws).leaves
        )

    def noise(self, movable: set[str]) -> None:
        """Mark the cases of a source that is itself inexact in float64; see `ferry.oracle.noise`."""
        record = self.record
        truth, draws = self.truths[0, 0]
        base = Run(Draws(), leaves={f"out/{p}": v for p, v in record.results(truth).items()})
        base.random.draws = draws
        weights, arguments = record.weights[0], record.inputs[0]
        found: dict[str, float] = {}
        try:
            found["outputs"] = Prober(self.runner, movable).bend(weights, arguments, base)
            derived = [case for case in record.cases if case["stage"] == "gradients"]
            if derived and not derived[0]["rng"]:
                slopes = record.results(derived[0], "grad")
                derivative = Derivative(
                    self.runner, weights, arguments, self.cotangents[0], slopes, draws
                )
                found["gradients"] = derivative.noise()
        except StepError:
            return
        for what, stages in NOISY_STAGES.items():
            noise = float(f"{found.get(what, 0.0):.1e}")
            if noise > HEARD:
                record.note(f"the {what} of the source are inexact in float64, to {noise:.0e}")
                for case in record.cases:
                    if case["stage"] in stages:
                        case["noise"] = max(noise, case.get("noise", 0.0))

    def add_steps(self, case: Json, order: list[int], run: Run) -> None:
        """Keep a run of one step for each input set in `order`."""
        self.record.add(case | {"inputs": order, "outputs": run.outputs}, run)


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
