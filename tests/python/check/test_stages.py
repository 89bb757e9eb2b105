"""Correct candidates pass through every stage with the source's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

# Errors relative to the range: float64 rounding against a wrong rule, float32 rounding.
F64, F32 = 1e-12, 1e-5


@pytest.mark.parametrize("name", ["cnn", "gpt", "gru", "config"])
def test_correct_module(check: Any, name: str) -> None:
    """Outputs, gradients and state agree with torch's, under torch's names."""
    found = check(name)
    failed = {n: s for n, s in found.result["stages"].items() if s["status"] == "failed"}
    assert not failed
    assert found.worst_of("forward_f64", "out/") < F64
    assert found.worst_of("forward_f32") < F32
    assert found.worst_of("gradients") < F64
    assert found.worst_of("train_state") < F64
    assert found.worst_of("resize") < F64
    assert found.worst_of("optimizer") < F64
    assert found.worst_of("jit") < F32


def test_dtypes_are_those_of_the_stage(check: Any) -> None:
    """float64 stages give float64, float32 stages float32, although Embed and `astype` fix it."""
    found = check("gpt")
    (f64, *_), (f32, *_) = found.oracle.cases("forward_f64"), found.oracle.cases("forward_f32")
    assert found.actual[f"{f64}/out/logits"].dtype == np.float64
    assert found.actual[f"{f32}/out/logits"].dtype == np.float32
    assert found.result["outputs"][f64]["keys"] == ["logits", "hidden"]
    assert found.result["shapes"]["x0"]["out/logits"] == {"dtype": "float32", "shape": [3, 7, 11]}


def test_constructor_that_needs_values(check: Any) -> None:
    """`float()` of an array in a constructor works, as it does for users."""
    old = "nnx.Dropout(0.25"
    new = "nnx.Dropout(float(jnp.linspace(0.0, 0.25, 2)[1])"
    found = check("cnn", replace=(old, new))
    assert found.worst_of("forward_f64", "out/") < F64
    assert found.worst_of("train_state") < F64
    assert found.worst_of("jit") < F32


def test_function(check: Any) -> None:
    """A function has no build and no weights; its inputs have gradients, its draws are replayed."""
    found = check("loss")
    assert found.status("build") == found.status("weights") == "not_applicable"
    assert found.status("train_state") == "not_applicable"
    assert found.worst_of("forward_f64", "out/") < F64
    assert found.worst_of("gradients") < F64
    assert found.worst_of("jit") < F32
    (first, *_) = found.oracle.cases("forward_f64")
    assert found.result["draws"][first] == [{"op": "uniform", "shape": [3, 4]}]


def test_dropout_is_replayed(check: Any) -> None:
    """In train mode the source's own masks are used, in eval mode nothing is drawn."""
    found = check("cnn", stages=("train_state", "forward_f64"))
    (case,) = found.oracle.cases("train_state")
    assert [draw["op"] for draw in found.result["draws"][case]] == ["bernoulli", "bernoulli"]
    assert list(found.result["draws"]) == [case]


def test_tied_weights_share_a_gradient(check: Any) -> None:
    """Each name of a tied tensor has the whole gradient."""
    found = check("gpt", stages=("gradients",))
    (case, *_) = found.oracle.cases("gradients")
    grads = [found.actual[f"{case}/grad/param/{n}"] for n in ("tokens.weight", "head.weight")]
    np.testing.assert_array_equal(*grads)
    assert np.abs(grads[0]).max() > 0


def test_ignored_buffers_are_absent(check: Any) -> None:
    """What the map ignores can't be given back, and the result says so."""
    found = check("cnn", stages=("train_state",))
    (case,) = found.oracle.cases("train_state")
    assert found.result["absent"] == {case: ["state/norm.num_batches_tracked"]}


def test_only_the_stages_asked_for(check: Any) -> None:
    """The gates always run; of the others only those that were asked for."""
    found = check("cnn", stages=("parse", "forward_f32"))
    assert list(found.result["stages"]) == ["parse", "import", "build", "weights", "forward_f32"]
    assert {name.partition("/")[0] for name in found.actual} == set(
        found.oracle.cases("forward_f32")
    )


def test_stage_without_a_case_is_not_applicable(check: Any) -> None:
    """heldout is not in capture's plan: accept draws it."""
    assert check("loss", stages=("heldout",)).status("heldout") == "not_applicable"


@pytest.mark.parametrize("name", ["cnn", "gpt", "gru", "config", "loss"])
def test_held_out_and_worst_cases(check: Any, name: str) -> None:
    """Fresh weights, sizes and values, and inputs meant to separate rules."""
    found = check(name, accept=True)
    assert found.status("heldout") == found.status("worst_case") == "ran"
    assert found.worst_of("heldout") < F64
    float64 = {c["id"] for c in found.oracle.plan["cases"] if c["dtype"] == "float64"}
    wide = [c for c in found.oracle.cases("worst_case") if c in float64]
    assert max(found.worst(f"{case}/out/") for case in wide) < F64


def test_draws_of_an_optimizer_are_counted(check: Any) -> None:
    """Each step takes its own draws, and none may be left at the end."""
    old = "self.drop(x.reshape(x.shape[0], -1))"
    found = check("cnn", replace=(old, "x.reshape(x.shape[0], -1)"), stages=("optimizer",))
    error = found.error("optimizer")
    assert error["code"] == "draws_differ"
    assert "draws 0 times, the source 3" in error["message"]


def test_sum_of_parameters_is_assumed(check: Any) -> None:
    """Two biases in one variable move twice as far: not compared, and said."""
    found = check("gru", stages=("optimizer",))
    cases = found.oracle.cases("optimizer")
    names = ["param/gru.bias_ih_l0", "param/gru.bias_hh_l0"]
    assert found.result["assumed"] == dict.fromkeys(cases, names)
    assert [a["code"] for a in found.result["assumptions"]] == ["optimizer_sum"]


def test_a_buffer_as_a_parameter_is_trained(check: Any) -> None:
    """What the port makes an `nnx.Param` moves, as it would for users, though nothing reaches it."""
    old = "self.mean = Buffer("
    found = check("cnn", replace=(old, "self.mean = nnx.Param("), stages=("optimizer", "gradients"))
    for case in found.oracle.cases("optimizer"):
        assert found.worst(f"{case}/state/norm.running_mean") > 1e-5
        assert found.worst(f"{case}/state/norm.running_var") < F64
        assert found.worst(f"{case}/param/") < F64


def test_a_parameter_in_another_variable_is_not_trained(check: Any) -> None:
    old = "self.bias = nnx.Param("
    found = check("cnn", replace=(old, "self.bias = Buffer("), stages=("optimizer",))
    for case in found.oracle.cases("optimizer"):
        assert found.worst(f"{case}/param/norm.bias") > 1e-3


def test_locate_names_submodule_calls(check: Any) -> None:
    """Every submodule's output of the first case, and nothing else."""
    found = check("config", locate=True)
    (case, *_) = found.oracle.cases("forward_f64")
    assert list(found.result["stages"]) == ["parse", "import", "build", "weights", "forward_f64"]
    assert found.worst(f"{case}/sub/") < F64
    assert set(found.actual) == {
        f"{case}/sub/{p}#0/0" for p in ("act", "norm", "head", "head.fc", ".")
    }
