"""accept: fresh weights, values and sizes, inputs that separate rules, and a search nearby."""

from __future__ import annotations

import pytest
import torch
from oracle_harness import accept_source, capture_whole
from torch.nn import functional as F

SOURCE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x, p):
        hidden = F.gelu(self.norm(self.conv(x)))
        return self.fc(hidden.mean(-1)) * p

def get_inputs():
    return [torch.randn(4, 2, 10), torch.rand(4, 3)]
"""


@pytest.fixture(scope="module")
def captured():
    return capture_whole(SOURCE)


@pytest.fixture(scope="module")
def accepted(captured):
    return accept_source(SOURCE, captured)


def reference(oracle, case):
    w = {n: v.double() for n, v in oracle.numbered(f"w{case['draw']}").items()}
    x, p = (oracle.given[f"x{case['input']}/{path}"].double() for path in "01")
    hidden = F.conv1d(x, w["conv.weight"], w["conv.bias"], padding=1)
    hidden = F.gelu(F.group_norm(hidden, 2, w["norm.weight"], w["norm.bias"])).mean(-1)
    return F.linear(hidden, w["fc.weight"], w["fc.bias"]) * p


def test_only_the_two_stages_and_no_submodules(accepted):
    assert {case["stage"] for case in accepted.plan["cases"]} == {"heldout", "worst_case"}
    assert accepted.plan["submodules"] == []
    assert len(accepted.plan["outputs"]) == len(accepted.plan["inputs"])
    assert [case["id"] for case in accepted.plan["cases"]] == [
        f"c{n}" for n in range(len(accepted.plan["cases"]))
    ]


def test_outputs_are_what_torch_computes(accepted):
    for case in accepted.plan["cases"]:
        if case["mode"] == "train":
            continue
        tolerance = 1e-10 if case["dtype"] == "float64" else 2e-3
        found = accepted.results(case)["0"].double()
        wanted = reference(accepted, case)
        assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max()), case


def test_weights_and_values_are_fresh(captured, accepted):
    for d in range(3):
        assert not torch.equal(captured.given[f"w{d}/fc.weight"], accepted.given["w0/fc.weight"])
        assert not torch.equal(captured.given["x0/0"], accepted.given["x0/0"])
    for name, tensor in accepted.given.items():
        if tensor.is_floating_point():
            assert torch.equal(tensor.double(), tensor.float().double()), name


def test_one_weight_of_each_kind_is_perturbed_in_each_recorded_draw(captured, accepted):
    assert accepted.plan["draws"] == 4
    for draw in range(3):
        before, after = captured.numbered(f"w{draw}"), accepted.numbered(f"w{draw + 1}")
        changed = [n for n in before if not torch.equal(before[n], after[n])]
        assert sorted(n.partition(".")[0] for n in changed) == ["conv", "fc", "norm"]
    assert [c["draw"] for c in accepted.cases("heldout")] == [0, 0, 0, 1, 2, 3, 0, 0]


def test_gradients_are_held_out_too(captured, accepted):
    """Fresh values and cotangents, in one of capture's sizes."""
    (case,) = [c for c in accepted.cases("heldout") if c.get("gradients")]
    index = case["input"]
    assert accepted.given[f"ct{index}/0"].shape == captured.given[f"ct{index}/0"].shape
    assert not torch.equal(accepted.given[f"ct{index}/0"], captured.given[f"ct{index}/0"])
    w = {n: v.double().requires_grad_() for n, v in accepted.numbered("w0").items()}
    x, p = (accepted.given[f"x{index}/{path}"].double().requires_grad_() for path in "01")
    hidden = F.conv1d(x, w["conv.weight"], w["conv.bias"], padding=1)
    hidden = F.gelu(F.group_norm(hidden, 2, w["norm.weight"], w["norm.bias"])).mean(-1)
    output = F.linear(hidden, w["fc.weight"], w["fc.bias"]) * p
    (output * accepted.given[f"ct{index}/0"]).sum().backward()
    found = accepted.results(case, "grad")
    wanted = {f"param/{n}": v.grad for n, v in w.items()} | {"input/0": x.grad, "input/1": p.grad}
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)


STATEFUL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x)

def get_inputs():
    return [torch.randn(4, 3)]
"""


def test_a_train_step_is_held_out_too():
    oracle = accept_source(STATEFUL, capture_whole(STATEFUL))
    (case,) = [c for c in oracle.cases("heldout") if c["mode"] == "train"]
    (index,) = case["inputs"]
    assert (case["output"], len(case["outputs"])) == (None, 1)
    x, w = oracle.given[f"x{index}/0"].double(), oracle.numbered("w0")
    mean = 0.9 * w["norm.running_mean"].double() + 0.1 * x.mean(0)
    torch.testing.assert_close(oracle.results(case, "state")["norm.running_mean"], mean)


def test_what_was_not_asked_for_is_not_repeated():
    oracle = accept_source(STATEFUL, capture_whole(STATEFUL), repeated=["gradients"])
    cases = oracle.cases("heldout")
    assert any(case.get("gradients") for case in cases)
    assert all(case["mode"] == "eval" for case in cases)


def test_sizes_are_others_than_those_of_capture(captured, accepted):
    seen = {tuple(captured.given[f"x{i}/0"].shape) for i in range(5)}
    sizes = [tuple(accepted.given[f"x{c['input']}/0"].shape) for c in accepted.cases("heldout")]
    assert (6, 2, 12) in sizes and (6, 2, 12) not in seen


def test_worst_case_inputs_stay_in_their_families(accepted):
    cases = accepted.cases("worst_case")
    patterns = {case["pattern"]: case["input"] for case in cases}
    assert {"tiny", "large", "offset", "zeros", "ties", "one_hot", "curvature"} <= set(patterns)
    for index in patterns.values():
        p = accepted.given[f"x{index}/1"]
        assert float(p.min()) >= 0 and float(p.max()) <= 1
    assert not bool(accepted.given[f"x{patterns['zeros']}/0"].any())
    assert float(accepted.given[f"x{patterns['offset']}/0"].mean()) > 250
    ties = (
        accepted.given[f"x{patterns['ties']}/0"]
        / accepted.given[f"x{patterns['ties']}/0"].abs().max()
    )
    assert len(ties.unique()) < 12


def test_float32_cases_name_their_truth(accepted):
    cases = {case["id"]: case for case in accepted.plan["cases"]}
    singles = [case for case in cases.values() if case["dtype"] == "float32"]
    assert singles
    for case in singles:
        assert cases[case["truth"]]["input"] == case["input"]


def test_another_seed_gives_others_and_the_same_seed_the_same(captured, accepted):
    assert accept_source(SOURCE, captured).raw == accepted.raw
    other = accept_source(SOURCE, captured, seed=2)
    assert not torch.equal(other.given["x0/0"], accepted.given["x0/0"])
    assert not torch.equal(other.given["w0/fc.weight"], accepted.given["w0/fc.weight"])


def test_round_one_looks_near_the_worst_input(captured, accepted):
    worst = next(c["input"] for c in accepted.cases("worst_case") if c["pattern"] == "sorted")
    near = accept_source(SOURCE, captured, around=(accepted, worst))
    assert {case["stage"] for case in near.plan["cases"]} == {"worst_case"}
    assert torch.equal(near.given["w0/fc.weight"], accepted.given["w0/fc.weight"])
    x = accepted.given[f"x{worst}/0"]
    patterns = {case["pattern"]: case["input"] for case in near.plan["cases"]}
    assert torch.equal(near.given[f"x{patterns['doubled']}/0"], 2 * x)
    moved = near.given[f"x{patterns['near 0.01']}/0"] - x
    assert 0 < float(moved.norm() / x.norm()) < 0.02
    for case in near.plan["cases"]:
        if case["dtype"] == "float64":
            torch.testing.assert_close(near.results(case)["0"], reference(near, case))


def test_the_climb_finds_more_curvature(captured, accepted):
    """The curvature along random steps is larger at the found input than where it began."""
    patterns = {c["pattern"]: c for c in accepted.cases("worst_case") if c["dtype"] == "float64"}

    def bend(index: int) -> float:
        case = {"draw": 0, "input": index}
        x = accepted.given[f"x{index}/0"].double()
        step = 0.25 * x.std() * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        outputs = []
        for k in (-1, 0, 1):
            accepted.given["x999/0"] = x + k * step.double()
            accepted.given["x999/1"] = accepted.given[f"x{index}/1"]
            outputs.append(reference(accepted, case | {"input": 999}))
        return float((outputs[0] - 2 * outputs[1] + outputs[2]).square().mean())

    found, start = bend(patterns["curvature"]["input"]), bend(0)
    del accepted.given["x999/0"], accepted.given["x999/1"]
    assert found > start


def test_whole_numbers_reach_their_bounds():
    source = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok = nn.Embedding(9, 4)

        def forward(self, idx):
            return self.tok(idx).cumsum(1)
    """
    inputs = [{"shape": [2, 5], "dtype": "int64"}]
    oracle = capture_whole(source, inputs=inputs)
    found = accept_source(source, oracle, inputs=inputs)
    patterns = {c["pattern"]: c["input"] for c in found.cases("worst_case")}
    assert "offset" not in patterns
    assert bool((found.given[f"x{patterns['lowest']}/0"] == 0).all())
    assert bool((found.given[f"x{patterns['highest']}/0"] == 8).all())


def test_inputs_that_decide_nothing_are_left_out():
    """argmax of ties is anyone's choice, and a norm of a constant is rounding noise."""
    source = """
    class Net(nn.Module):
        def forward(self, x):
            return F.layer_norm(x, (6,), eps=1e-12), (x * 1.1).argmax(-1)
    """
    inputs = [{"shape": [3, 6]}]
    oracle = capture_whole(source, inputs=inputs)
    found = accept_source(source, oracle, inputs=inputs)
    patterns = {case["pattern"] for case in found.cases("worst_case")}
    assert not patterns & {"constant", "alternating", "saturating"}
    assert {"tiny", "sorted", "curvature"} <= patterns


def test_a_function_has_no_weights_to_perturb():
    source = "def gate(x, y):\n    return torch.sigmoid(x) * y\n"
    given = {"entry": "gate", "inputs": [{"shape": [3, 4]}, {"shape": [3, 4]}]}
    oracle = capture_whole(source, **given)
    found = accept_source(source, oracle, **given)
    assert [c["draw"] for c in found.cases("heldout")] == [0] * len(found.cases("heldout"))
    assert found.result["tensors"] == [] and found.cases("worst_case")
