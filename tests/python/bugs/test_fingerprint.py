"""What the step does with a place: scopes, shields, single sites, and when it names nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from bug_cases import Case, all_cases, forward
from ferry.bugs.table import RULES
from fingerprints import Captured
from formulas import normal

X = "(torch.randn(5, 6),)"
TWO_LAYERS = forward(
    "return self.b(F.gelu(self.a(x)))", "self.a = nn.Linear(6, 6); self.b = nn.Linear(6, 6)"
)


def _code(found: Any) -> str | None:
    return found["bug"] and found["bug"]["code"]


def _linear(x: Any, w: Any, name: str) -> Any:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _tanh_gelu(x: Any) -> Any:
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def _first_of_each() -> list[Any]:
    sources = {case.source: case for case in all_cases() if case.stage is None}
    return [pytest.param(case, id=case.name) for case in sources.values()]


@pytest.mark.parametrize("case", _first_of_each())
def test_an_unrelated_difference_is_not_named(case: Case, captured: Any) -> None:
    own = captured(case)
    outputs = {n: t for n, t in own.expected.items() if n.startswith("c0/out/")}
    random = torch.Generator().manual_seed(3)
    values = [
        t.double() + torch.randn(t.shape, generator=random).double() * (1e-3 * t.double().std() + 1)
        if t.numel() > 1
        else t.double() * 1.2345
        for t in outputs.values()
    ]
    found = own.at(values, *case.place)
    assert found["bug"] is None
    assert found["tried"] > 0 or not values


def test_the_source_itself_has_no_bug(captured: Any) -> None:
    own = captured(all_cases()[0])
    assert own.at(own.expected["c0/out/0"]) == {"ok": True, "bug": None, "tried": 0}


def test_difference_between_submodules() -> None:
    own = Captured.of(TWO_LAYERS, X)
    (x,), w = own.inputs(), own.weights()
    out = _linear(_tanh_gelu(_linear(x, w, "a")), w, "b")
    agrees = {"c0/sub/a#0/0": own.expected["c0/sub/a#0/0"]}
    found = own.at(out, "b", 0, **agrees, **{"c0/sub/.#0/0": out})
    assert found["bug"] == {
        "code": "gelu_tanh",
        "title": "GELU with the tanh approximation",
        "rule": next(r for r in RULES if r.code == "gelu_tanh").text,
    }


def test_a_second_bug_later_does_not_hide_the_first() -> None:
    own = Captured.of(TWO_LAYERS, X)
    (x,), w = own.inputs(), own.weights()
    first = _linear(x, w, "a") - w["a.bias"]
    later = torch.randn(5, 6, dtype=torch.float64)
    assert _code(own.at(first, "a", 0, **{"c0/sub/.#0/0": later})) == "linear_bias_missing"


def test_children_that_agree_are_left_alone() -> None:
    source = forward("return F.layer_norm(self.n(x) * 2, (6,))", "self.n = nn.LayerNorm(6)")
    own = Captured.of(source, X)
    inner = own.expected["c0/sub/n#0/0"]
    out = normal(inner * 2, [-1], 1e-6)
    assert _code(own.at(out, **{"c0/sub/n#0/0": inner})) == "layer_norm_eps"


def test_one_of_several_sites() -> None:
    own = Captured.of(forward("return torch.stack([F.gelu(x), F.gelu(x + 1), F.gelu(x - 1)])"), X)
    (x,) = own.inputs()
    exact = own.expected["c0/out/0"]
    out = torch.stack([exact[0], _tanh_gelu(x + 1), exact[2]])
    assert _code(own.at(out)) == "gelu_tanh"


def test_the_second_call_of_a_module() -> None:
    source = forward("return self.f(self.f(x) * 3)", "self.f = nn.LayerNorm(6)")
    own = Captured.of(source, X)
    first, w = own.expected["c0/sub/f#0/0"], own.weights()
    out = normal(first * 3, [-1], 1e-3) * w["f.weight"] + w["f.bias"]
    assert _code(own.at(out, "f", 1, **{"c0/sub/f#0/0": first})) == "layer_norm_eps"


def test_functions_are_compared_by_case() -> None:
    own = Captured.of("def act(x, scale):\n    return F.gelu(x) * scale\n", "(torch.randn(5), 2.0)")
    (x,) = own.inputs()
    found = own.named({"c0/out/0": _tanh_gelu(x) * 2}, {"case": "c0"})
    assert _code(found) == "gelu_tanh"


def test_functions_kept_under_another_name() -> None:
    source = "from torch.nn.functional import gelu as act\nTABLE = {'a': F.gelu}\n" + forward(
        "return TABLE['a'](act(x))"
    )
    own = Captured.of(source, X)
    (x,) = own.inputs()
    assert _code(own.at(_tanh_gelu(_tanh_gelu(x)))) == "gelu_tanh"


def test_in_place_calls() -> None:
    source = forward("y = x * 1\nF.hardtanh_(y, 0.0, 6.0)\nreturn y")
    own = Captured.of(source, "(torch.randn(5, 6) * 9,)")
    (x,) = own.inputs()
    assert _code(own.at(torch.where(x > 0, x, x * 0))) == "relu6_unbounded"


def test_random_numbers_of_the_source_are_drawn_again() -> None:
    own = Captured.of(forward("return F.gelu(F.dropout(x, 0.5, True))"), X)
    (x,) = own.inputs()
    keep = own.given["rng/c0/0"].double()
    assert _code(own.at(_tanh_gelu(x * keep * 2))) == "gelu_tanh"


def test_state_is_the_one_that_the_call_found() -> None:
    source = forward(
        "self.n += 1\nreturn F.gelu(x) + self.n", "self.register_buffer('n', torch.zeros(1))"
    )
    own = Captured.of(source, X)
    (x,) = own.inputs()
    assert _code(own.at(_tanh_gelu(x) + 1)) == "gelu_tanh"


def test_a_case_narrowed_to_one_tensor() -> None:
    own = Captured.of(forward("return self.f(x)", "self.f = nn.BatchNorm1d(6)"), X)
    case = own.case("train_state")["id"]
    mean, wanted = own.weights()["f.running_mean"], f"{case}/state/f.running_mean"
    for step in ("x0/0", "x1/0"):
        own_mean = own.arrays(case)[step].sum(0) / len(own.arrays(case)[step])
        mean = 0.1 * mean + 0.9 * own_mean
    place = {"case": case, "tensor": "state/f.running_mean"}
    assert _code(own.named({wanted: mean}, place)) == "batch_norm_momentum"


def test_unknown_places_name_nothing() -> None:
    own = Captured.of(TWO_LAYERS, X)
    nothing = {"ok": True, "bug": None, "tried": 0}
    assert own.at(torch.ones(5, 6), "c", 0) == nothing
    assert own.at(torch.ones(5, 6), "a", 7) == nothing
    assert own.named({"c9/out/0": torch.ones(5, 6)}, {"case": "nowhere"}) == nothing
    assert own.named({"c0/out/0": torch.ones(5, 6)}, {"path": "b", "call": 0}) == nothing


def test_a_step_is_fast() -> None:
    source = forward(
        "return self.f(x)",
        "self.f = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)",
    )
    own = Captured.of(source, "(torch.randn(2, 7, 16),)")
    started = time.perf_counter()
    found = own.at(torch.randn(2, 7, 16, dtype=torch.float64))
    assert found["bug"] is None and found["tried"] > 10
    assert time.perf_counter() - started < 3.0  # measured 0.6 s; the rest is for busy machines
