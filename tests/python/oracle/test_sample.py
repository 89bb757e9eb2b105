"""Many runs of a source whose draws a candidate can't replay."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import safetensors.torch
import torch
from ferry.oracle import inspect_step, sample
from ferry.oracle.sample import block_axes
from ferry.step import MemoryContext
from oracle_harness import Oracle, capture_whole, request_of

SOURCE = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 4)
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return F.dropout(self.norm(self.fc(x)), 0.25, self.training)
"""
INPUTS: dict[str, Any] = {"inputs": [{"shape": [4, 6]}]}


def samples_of(oracle: Oracle, stage: str, runs: int, seed: int = 3) -> tuple[Any, Any, str]:
    request = request_of(SOURCE, **INPUTS)
    inspected = json.loads(json.dumps(inspect_step.run(MemoryContext(request))))
    case = oracle.cases(stage)[0]["id"]
    wanted = {"cases": [case], "seed": seed, "runs": runs}
    more = {"inspected": inspected, "plan": oracle.plan, "sample": wanted}
    context = MemoryContext({**request, **more}, {"given": oracle.raw["given"]})
    result = sample.run(context)
    return result, safetensors.torch.load(context.outputs["samples"]), case


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return capture_whole(SOURCE, **INPUTS)


@pytest.mark.parametrize("stage", ["train_state", "optimizer"])
def test_every_expected_tensor_is_sampled(oracle: Oracle, stage: str) -> None:
    result, samples, case = samples_of(oracle, stage, 3)
    wanted = [n for n in oracle.expected if n.startswith(f"{case}/") and "/draw/" not in n]
    assert sorted(samples) == sorted(wanted)
    for name in wanted:
        assert samples[name].dtype == oracle.expected[name].dtype
        kept = result["kept"][case][name.removeprefix(f"{case}/")]
        assert kept["shape"] == list(oracle.expected[name].shape)
        assert list(samples[name].shape) == [3, *map(len, kept["axes"])]


def test_runs_differ_and_a_seed_repeats_them(oracle: Oracle) -> None:
    _, first, case = samples_of(oracle, "train_state", 4)
    _, again, _ = samples_of(oracle, "train_state", 4)
    _, other, _ = samples_of(oracle, "train_state", 4, seed=11)
    name = f"{case}/out/0/0"
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert not torch.equal(first[name], other[name])
    assert not torch.equal(first[name][0], first[name][1])


def test_dropped_elements_have_the_rate_of_the_source(oracle: Oracle) -> None:
    _, samples, case = samples_of(oracle, "train_state", 100)
    zeros = (samples[f"{case}/out/0/0"] == 0).double().mean()
    assert abs(float(zeros) - 0.25) < 0.05


@pytest.mark.parametrize("shape", [[], [3], [100, 100], [2, 3, 4000], [1, 1, 10**6]])
def test_a_block_stays_in_its_budget(shape: list[int]) -> None:
    axes = block_axes(shape, 64, random.Random(1))
    assert all(len(axis) <= size for axis, size in zip(axes, shape, strict=True))
    assert math.prod(map(len, axes)) <= 64
    assert all(axis == sorted(set(axis)) for axis in axes)
    assert all(len(axis) > 1 for axis, size in zip(axes, shape, strict=True) if size > 1)
