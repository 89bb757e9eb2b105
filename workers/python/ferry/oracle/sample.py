"""Step `sample`: many runs of the source in cases whose draws a candidate can't replay (steps.md, 5c).

A candidate that draws inside of a transformation of jax draws in another order than the source.
It is then judged by distribution, for which the source is run again and again with other seeds.
Of each tensor a block of elements is kept, the same in all runs.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ferry.oracle.capture import known_inputs, versions
from ferry.oracle.cases import Copies, Run, Runner
from ferry.oracle.inputs import Inputs
from ferry.oracle.optimize import Step, optimize
from ferry.oracle.precision import steady
from ferry.oracle.program import opened
from ferry.oracle.recorded import recorded_cotangents, recorded_input, recorded_weights
from ferry.oracle.trees import Leaves
from ferry.step import Context, StepError

Json = dict[str, Any]

# elements kept of all tensors of a case together, in each run
ELEMENTS = 8192


@dataclass
class Sampler:
    """Runs cases of a recorded plan again, with draws of their own."""

    runner: Runner
    inputs: Inputs
    given: Leaves
    seed: int

    def sample(self, case: Json, runs: int) -> tuple[Leaves, Json]:
        """`runs` runs of a case: the kept elements of each tensor, stacked, and which those are."""
        first = self._run(case, 0).leaves
        keep = self._chosen(first)
        rows: dict[str, list[Tensor]] = {name: [] for name in first}
        for number in range(runs):
            leaves = self._run(case, number).leaves
            if leaves.keys() != first.keys():
                raise StepError("source_error", "the outputs depend on the random draws")
            for name, leaf in leaves.items():
                rows[name].append(_block(leaf, keep[name]["shape"], keep[name]["axes"]))
        return {name: torch.stack(row) for name, row in rows.items()}, keep

    def _run(self, case: Json, number: int) -> Run:
        """One run with the seed that belongs to its number."""
        runner, given = self.runner, self.given
        runner.seed = (self.seed + number) % 2**32
        weights = recorded_weights(runner.copies.built, given, case["draw"])
        order = case["inputs"] if "inputs" in case else [case["input"]]
        arguments = [recorded_input(self.inputs, given, index) for index in order]
        if case.get("optimizer"):
            cotangents = [recorded_cotangents(given, index) for index in order]
            steps = [Step(own, ct) for own, ct in zip(arguments, cotangents, strict=True)]
            return optimize(runner, weights, steps, case["optimizer"])
        if "inputs" in case:
            return runner.train_state(weights, arguments)
        if case["stage"] == "gradients" or case.get("gradients"):
            run = runner.gradients(weights, arguments[0], recorded_cotangents(given, order[0]))
            if run is None:
                raise StepError("source_error", "there is nothing to derive any more")
            return run
        return runner.forward(weights, arguments[0], case["dtype"], mode=case["mode"])

    def _chosen(self, leaves: Leaves) -> Json:
        """For each tensor its shape and the indices that are kept along each axis."""
        budget = max(1, ELEMENTS // max(1, len(leaves)))
        return {
            name: {
                "shape": list(leaf.shape),
                "axes": block_axes(list(leaf.shape), budget, random.Random(f"{self.seed} {name}")),
            }
            for name, leaf in leaves.items()
        }


def block_axes(shape: list[int], budget: int, generator: random.Random) -> list[list[int]]:
    """Sorted random indices along each axis, so few that the block has at most `budget` elements.

    The longest axes are cut first, so that neighbours along all of them stay together.
    """
    kept = list(shape)
    while math.prod(kept) > budget:
        longest = kept.index(max(kept))
        kept[longest] -= max(1, kept[longest] // 4)
    return [
        sorted(generator.sample(range(size), count))
        for size, count in zip(shape, kept, strict=True)
    ]


def _block(leaf: Tensor, shape: list[int], axes: list[list[int]]) -> Tensor:
    if list(leaf.shape) != shape:
        raise StepError("source_error", "the shapes of outputs depend on the random draws")
    for axis, indices in enumerate(axes):
        if len(indices) < leaf.shape[axis]:
            leaf = leaf.index_select(axis, torch.tensor(indices))
    return leaf


def run(ctx: Context) -> Json:
    """The step: samples are written, and which elements they are of returned."""
    request = ctx.request
    wanted = request["sample"]
    given = safetensors.torch.load(bytes(ctx.read("given")))
    samples: Leaves = {}
    kept: Json = {}
    with steady(), opened(request) as program:
        inputs = known_inputs(program, request)
        seed = int(wanted["seed"])
        sampler = Sampler(Runner(Copies(program, inputs.first), seed), inputs, given, seed)
        for case in request["plan"]["cases"]:
            if case["id"] in wanted["cases"]:
                found, kept[case["id"]] = sampler.sample(case, int(wanted["runs"]))
                samples |= {f"{case['id']}/{name}": value for name, value in found.items()}
    ctx.write("samples", safetensors.torch.save(samples))
    return {"ok": True, "kept": kept, "versions": versions()}
