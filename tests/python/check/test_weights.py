"""The weight map: what does not fit is named, and the way back is exact."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import weight_map

Map = dict[str, Any]


def entry(weights: Map, to: str) -> Map:
    return next(e for e in weights["params"] if e["to"] == to)


def drop(to: str) -> Callable[[Map], None]:
    return lambda weights: weights["params"].remove(entry(weights, to))


def change(to: str, **fields: Any) -> Callable[[Map], None]:
    return lambda weights: entry(weights, to).update(fields)


def append(to: str, source: str, *ops: Any) -> Callable[[Map], None]:
    new = {"to": to, "from": [source], "ops": list(ops)}
    return lambda weights: weights["params"].append(new)


PERMUTE = {"op": "permute", "axes": [1, 0]}

CASES = [
    ("format", lambda w: w.update(format="ferry.weights/2"), "ferry.weights/1"),
    ("format", lambda w: w.update(params={}), "must be a list"),
    ("format", lambda w: w["params"].append(7), "params[8]"),
    ("unknown_op", change("fc.kernel", ops=[{"op": "transpose"}]), "fc.kernel): there is no op"),
    ("bad_op", change("fc.kernel", ops=[{"op": "permute"}]), "permute takes axes"),
    ("bad_op", change("fc.kernel", ops=[{"op": "permute", "axes": [True, 0]}]), "whole number"),
    ("bad_op", change("fc.bias", ops=[{"op": "scale", "by": "2"}]), "finite number"),
    ("bad_op", change("fc.bias", ops=[{"op": "cast", "dtype": "float31"}]), "float31"),
    ("bad_axis", change("fc.kernel", ops=[{"op": "permute", "axes": [0, 0]}]), "does not permute"),
    ("bad_axis", change("fc.bias", ops=[{"op": "flip", "axes": [1]}]), "no axis 1"),
    (
        "slice_range",
        change("fc.bias", ops=[{"op": "slice", "axis": 0, "start": 0, "stop": 6}]),
        "0:6",
    ),
    ("shape", change("fc.kernel", ops=[]), "the map gives (5, 96), the candidate (96, 5)"),
    ("shape", change("fc.bias", ops=[{"op": "reshape", "shape": [6]}]), "can't become (6,)"),
    (
        "shape",
        change("fc.bias", **{"from": ["fc.bias", "conv.bias"], "ops": [{"op": "add"}]}),
        "add",
    ),
    ("not_joined", change("fc.bias", **{"from": ["fc.bias", "conv.bias"]}), "2 tensors"),
    ("no_operand", change("fc.bias", **{"from": [], "ops": [{"op": "add"}]}), "add has no operand"),
    ("unknown_source", change("fc.bias", **{"from": ["fc.offset"]}), "no fc.offset"),
    ("unknown_source", lambda w: w["ignored"].append("nothing"), "nothing"),
    ("source_unused", lambda w: w["ignored"].clear(), "norm.num_batches_tracked"),
    ("source_unused", change("norm.bias", **{"from": ["norm.weight"]}), "norm.bias"),
    ("target_unfilled", drop("fc.bias"), "fc.bias"),
    ("target_twice", append("fc.bias", "fc.bias"), "fc.bias is filled more than once"),
    ("unknown_target", append("fc.scale", "fc.bias"), "fc.scale: the candidate has no such"),
    ("not_optional", change("fc.bias", optional=True), "can't be optional"),
]


@pytest.mark.parametrize(("why", "spoil", "says"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES])
def test_what_does_not_fit_is_named(check: Any, why: str, spoil: Any, says: str) -> None:
    weights = copy.deepcopy(weight_map("cnn"))
    spoil(weights)
    found = check("cnn", weights=weights, stages=("weights", "forward_f64"))
    error = found.error("weights")
    assert (error["code"], error["why"]) == ("weight_map", why)
    assert says in error["message"]
    assert found.status("forward_f64") == "not_run"


def test_no_map(check: Any) -> None:
    assert check("cnn", weights={}, stages=()).error("weights")["why"] == "format"


def test_unused_part_of_a_source(check: Any) -> None:
    """A source that is sliced must be used up."""
    weights = weight_map("gru")
    entry(weights, "new_bias")["ops"] = [{"op": "slice", "axis": 0, "start": 7, "stop": 11}]
    error = check("gru", weights=weights, stages=()).error("weights")
    assert error["why"] == "source_twice"
    entry(weights, "new_bias")["from"] = []
    entry(weights, "new_bias")["ops"] = [
        {"op": "constant", "value": 0, "shape": [4], "dtype": "float32"}
    ]
    error = check("gru", weights=weights, stages=()).error("weights")
    assert error["message"] == "a part of gru.bias_ih_l0 is neither used nor ignored"


def test_untying_is_refused(check: Any) -> None:
    """One tensor of the source can't become two variables."""
    weights = weight_map("gpt")
    append("head.kernel", "head.weight", PERMUTE)(weights)
    weights["ignored"] = []
    blocks = "        self.blocks"
    head = "        self.head = nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)\n"
    found = check("gpt", replace=(blocks, head + blocks), weights=weights, stages=())
    error = found.error("weights")
    assert error["why"] == "source_twice"
    assert "tokens.weight is used twice" in error["message"]


def bound_map(shapes: dict[str, tuple[int, ...]], params: list[Any], targets: Any) -> Any:
    from ferry.check.weights import WeightMap

    tensors = [
        {"name": n, "kind": "parameter", "shape": list(s), "dtype": "float64", "storage": i}
        for i, (n, s) in enumerate(shapes.items())
    ]
    entries = [{"to": to, "from": sources, "ops": ops} for to, sources, ops in params]
    return WeightMap({"format": "ferry.weights/1", "params": entries}, tensors, targets, {})


JOIN = [
    {"op": "permute", "axes": [1, 0]},
    {"op": "concat", "axis": 1},
    {"op": "flip", "axes": [0]},
    {"op": "cast", "dtype": "float64"},
]
HALF_SUM = [{"op": "add"}, {"op": "scale", "by": 0.5}, {"op": "reshape", "shape": [2, 2]}]
TOP = [{"op": "slice", "axis": 0, "start": 0, "stop": 1}]
REST = [{"op": "slice", "axis": 0, "start": 1, "stop": 4}]


def fused() -> Any:
    """q, k, v joined, transposed and flipped; two biases added and halved; w in two parts."""
    return bound_map(
        {"q": (2, 3), "k": (2, 3), "v": (2, 3), "a": (4,), "b": (4,), "w": (4, 2)},
        [
            ("qkv", ["q", "k", "v"], JOIN),
            ("bias", ["a", "b"], HALF_SUM),
            ("top", ["w"], TOP),
            ("rest", ["w"], REST),
        ],
        {"qkv": (3, 6), "bias": (2, 2), "top": (1, 2), "rest": (3, 2)},
    )


def test_adjoint_is_the_transpose() -> None:
    """<A x, g> = <x, A* g> for every source tensor."""
    random = np.random.default_rng(0)
    weights = fused()
    x = {n: random.standard_normal(t["shape"]) for n, t in weights.tensors.items()}
    y = weights.push(x)
    g = {n: random.standard_normal(v.shape) for n, v in y.items()}
    back = weights.gradients(g)
    left = sum((y[n] * g[n]).sum() for n in y)
    right = sum((x[n] * back[n]).sum() for n in x)
    assert left == pytest.approx(right, rel=1e-12)


def test_push_by_hand() -> None:
    """The joined value of q, k, v is what numpy gives, the sum of biases is halved."""
    weights = fused()
    x = {
        n: np.arange(np.prod(t["shape"])).reshape(t["shape"]) * 1.0
        for n, t in weights.tensors.items()
    }
    y = weights.push(x)
    assert y["qkv"].tolist() == [[2, 5, 2, 5, 2, 5], [1, 4, 1, 4, 1, 4], [0, 3, 0, 3, 0, 3]]
    assert y["bias"].tolist() == [[0, 1], [2, 3]]
    assert y["top"].tolist() == [[0, 1]]


def test_state_comes_back_where_it_can() -> None:
    """Joined and sliced tensors come back exactly; summands do not."""
    weights = fused()
    for tensor in weights.tensors.values():
        tensor["kind"] = "buffer"
    random = np.random.default_rng(0)
    x = {n: random.standard_normal(t["shape"]) for n, t in weights.tensors.items()}
    y = weights.push(x)
    state = weights.state(y)
    assert set(state) == {"q", "k", "v", "w"}
    for name, value in state.items():
        np.testing.assert_array_equal(value, x[name])
