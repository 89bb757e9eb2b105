"""Wrong and broken candidates: each ends as the error of one stage, placed in its own code."""

from __future__ import annotations

from typing import Any

import pytest

FLAT = "self.drop(x.reshape(x.shape[0], -1))"


def test_syntax_error(check: Any) -> None:
    found = check("cnn", text="import jax\ndef f(:\n")
    error = found.error("parse")
    assert (error["code"], error["why"]) == ("candidate_error", "syntax")
    assert (error["file"], error["line"]) == ("source.py", 2)
    assert {found.status(s) for s in ("import", "build", "forward_f64", "jit")} == {"not_run"}
    assert found.actual == {}


@pytest.mark.parametrize(
    "line", ["import torch", "from torch.nn import functional", "import ferry.step"]
)
def test_forbidden_import(check: Any, line: str) -> None:
    """Refused before anything of the candidate runs."""
    error = check("cnn", text=f"import jax\n\n\ndef f():\n    {line}\n").error("import")
    assert (error["code"], error["why"]) == ("candidate_import", "forbidden_import")
    assert (error["line"], error["text"]) == (5, line)


def test_missing_package(check: Any) -> None:
    error = check("cnn", text="import no_such_package\n").error("import")
    assert (error["code"], error["why"]) == ("candidate_import", "missing_package")
    assert "no_such_package" in error["message"]
    assert error["line"] == 1


def test_entry_is_missing(check: Any) -> None:
    error = check("cnn", text="import jax\n").error("import")
    assert (error["code"], error["why"]) == ("candidate_error", "no_entry")


def test_entry_is_no_module(check: Any) -> None:
    error = check("cnn", text="class Net:\n    pass\n").error("import")
    assert error["why"] == "not_a_module"


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt()", "MemoryError('x')"])
def test_whatever_an_import_raises(check: Any, raised: str) -> None:
    error = check("cnn", text=f"x = 1\nraise {raised}\n").error("import")
    assert (error["code"], error["line"]) == ("candidate_error", 2)


def test_exception_that_can_not_be_shown(check: Any) -> None:
    text = "class E(Exception):\n    def __str__(self):\n        raise E()\nraise E()\n"
    error = check("cnn", text=text).error("import")
    assert error["message"] == "E: an exception that can't be shown"


def test_constructor_raises(check: Any) -> None:
    found = check(
        "cnn", replace=("        self.norm = BatchNorm(8)", "        self.norm = BatchNorm()")
    )
    error = found.error("build")
    assert error["code"] == "candidate_error"
    assert error["text"] == "self.norm = BatchNorm()"
    assert "BatchNorm.__init__() missing 1 required positional argument" in error["message"]


def test_call_raises_in_own_frames(check: Any) -> None:
    """The traceback shows the candidate's frames only, the innermost last."""
    found = check("cnn", replace=("x.reshape(x.shape[0], -1)", "x.reshape(x.shape[0], -1, 5)"))
    error = found.error("shapes")
    assert error["file"] == "source.py"
    assert error["text"] == "return self.fc(self.drop(x.reshape(x.shape[0], -1, 5)))"
    assert error["traceback"].count("File ") == error["traceback"].count('File "source.py"') == 1
    assert found.status("forward_f64") == "not_run"


def test_value_needed_while_tracing(check: Any) -> None:
    found = check(
        "cnn",
        replace=(
            "        return self.fc",
            "        if x.sum() > 0:\n            x = -x\n        return self.fc",
        ),
    )
    assert found.error("shapes")["why"] == "value_needed_while_tracing"


def test_error_in_one_stage_only(check: Any) -> None:
    """Stages after the gates are independent: what fails in training does not hide the others."""
    old = "            mean = x.mean(axes)"
    replace = (old, f"            raise OSError\n{old}")
    found = check("cnn", replace=replace, stages=("train_state", "jit"))
    assert found.error("train_state")["why"] == "OSError"
    assert found.status("jit") == "ran"


def test_unsupported_output(check: Any) -> None:
    error = check("gpt", replace=('"hidden": x}', '"hidden": {1, 2}}')).error("shapes")
    assert (error["code"], error["why"]) == ("candidate_error", "unsupported_output")
    assert "set at hidden" in error["message"]


def test_output_of_another_shape_has_no_gradients(check: Any) -> None:
    error = check("gru", replace=("h[None]", "h")).error("gradients")
    assert error["why"] == "output_differs"


@pytest.mark.parametrize(
    ("old", "new", "stage", "below", "least"),
    [
        ("var + 1e-5", "var + 1e-3", "forward_f64", "out/", 1e-6),
        (".transpose(0, 3, 1, 2)", "", "forward_f64", "out/", 1e-2),
        ("padding=((1, 1), (1, 1))", "padding=((0, 2), (0, 2))", "forward_f64", "out/", 1e-2),
        ("* count / (count - 1)", "", "train_state", "state/", 1e-4),
    ],
)
def test_wrong_candidates_differ(
    check: Any, old: str, new: str, stage: str, below: str, least: float
) -> None:
    """A wrong rule is far from float64 rounding."""
    assert check("cnn", replace=(old, new), stages=(stage,)).worst_of(stage, below) > least


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nnx.Dropout(0.25", "nnx.Dropout(0.5", "probability is 0.5, the source's 0.75"),
        (FLAT, "x.reshape(x.shape[0], -1)", "draws 0 times"),
        (FLAT, "self.drop(x).reshape(x.shape[0], -1)", "draws bernoulli (3, 8, 3, 4)"),
        ("x.shape[0], -1)))", "x.shape[0], -1))) + 0 * self.drop(x).sum()", "draw 2"),
    ],
)
def test_draws_differ(check: Any, old: str, new: str, says: str) -> None:
    """Another probability, too few draws, another shape, too many."""
    error = check("cnn", replace=(old, new), stages=("train_state",)).error("train_state")
    assert error["code"] == "draws_differ"
    assert says in error["message"]


def test_another_kind_of_draw(check: Any) -> None:
    found = check("loss", replace=("import uniform", "import normal as uniform"))
    error = found.error("shapes")
    assert error["code"] == "draws_differ"
    assert "draws normal (3, 4), the source uniform (3, 4)" in error["message"]


def test_name_unknown_in_init_expr(check: Any, oracle: Any) -> None:
    recorded = oracle("config")
    before = recorded.plan["init"]["expr"]
    recorded.plan["init"]["expr"] = before.replace("nn.GELU()", "nn.Threshold(0, 1)")
    try:
        error = check("config").error("build")
    finally:
        recorded.plan["init"]["expr"] = before
    assert error["code"] == "unsupported_expression"
    assert error["text"] == "nn.Threshold"


def test_nothing_is_left_behind(check: Any) -> None:
    """A check leaves jax, flax and the modules of the process as they were."""
    import sys

    import jax
    import jax.numpy as jnp

    before = (jax.random.bernoulli, jnp.float32, jax.config.jax_enable_x64)
    check("cnn", stages=("train_state",))
    assert (jax.random.bernoulli, jnp.float32, jax.config.jax_enable_x64) == before
    assert "source" not in sys.modules
