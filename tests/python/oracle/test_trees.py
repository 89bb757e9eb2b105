"""Inputs and outputs of any nesting and of every type that the protocol has."""

from __future__ import annotations

import torch
from oracle_harness import capture_whole


def test_types_in_and_out():
    oracle = capture_whole(
        """
    from collections import namedtuple
    from dataclasses import dataclass

    Pair = namedtuple("Pair", "first second")

    @dataclass
    class State:
        hidden: torch.Tensor
        steps: int

    class Net(nn.Module):
        def forward(self, z, half, brain, empty, scalar, pair, state, nothing, text, on):
            out = State((z * 2).abs() + pair.first, state.steps + 1)
            return (out, Pair(z * 1j, half * 2), [brain + 1, empty.sum(), scalar * 3],
                    {"none": nothing, "text": text + "!", "on": not on, "rate": 0.5, "inf": 1e999})
    """,
        inputs_expr="(torch.randn(3, dtype=torch.complex64), torch.randn(3).half(),"
        " torch.randn(3).bfloat16(), torch.zeros(0, 4), torch.tensor(2.5),"
        " __import__('model').Pair(torch.randn(3), None),"
        " __import__('model').State(torch.randn(2), 4), None, 'a', True)",
    )
    spec = oracle.plan["inputs"][0]["args"]
    assert [s.get("dtype") for s in spec[:5]] == [
        "complex64",
        "float16",
        "bfloat16",
        "float32",
        "float32",
    ]
    assert spec[3]["shape"] == [0, 4] and spec[4]["shape"] == []
    assert spec[5]["t"] == "seq" and spec[5]["items"][1] == {"t": "none"}
    assert spec[6]["keys"] == ["hidden", "steps"]
    assert spec[7:] == [{"t": "none"}, {"t": "str", "value": "a"}, {"t": "bool", "value": True}]
    out = oracle.plan["outputs"][0]["items"]
    assert out[0]["keys"] == ["hidden", "steps"] and out[0]["items"][1]["value"] == 5
    assert [item["dtype"] for item in out[1]["items"]] == ["complex128", "float64"]
    assert out[3]["items"][1:] == [
        {"t": "str", "value": "a!"},
        {"t": "bool", "value": False},
        {"t": "float", "value": 0.5},
        {"t": "float", "value": "inf"},
    ]
    case = oracle.cases("forward_f64")[0]
    z = torch.view_as_complex(oracle.given["x0/0"].double())
    found = oracle.results(case)
    torch.testing.assert_close(found["0/hidden"], (z * 2).abs() + oracle.given["x0/5/0"].double())
    torch.testing.assert_close(torch.view_as_complex(found["1/0"]), z * 1j)
    single = oracle.results(oracle.cases("forward_f32")[0])
    assert [single[p].dtype for p in ("1/1", "2/0")] == [torch.float16, torch.bfloat16]
    assert float(found["2/1"]) == 0.0 and found["2/2"].shape == ()
