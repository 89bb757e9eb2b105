"""A bundle's own tests, run as a stranger would: with jax only, from the bundle's root."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from oracles import PACKAGE


def run_tests(root: Path) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-q", "tests", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("name", ["cnn", "gpt", "gru", "config"])
def test_correct_candidate_passes(bundle: Any, name: str) -> None:
    """Three outputs in float64, one for each recorded input, one in float32, and gradients."""
    ended = run_tests(bundle(name))
    assert "5 passed" in ended.stdout, ended.stdout


def test_function_that_draws_has_nothing_to_repeat(bundle: Any) -> None:
    """Cases with random draws need the replay of the proof; the report says what is repeated."""
    root = bundle("loss")
    assert run_tests(root).returncode == 0
    assert "repeats: no case." in (root / "REPORT.md").read_text()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cnn", "var + 1e-5", "var + 1e-4"),
        ("gpt", "math.sqrt(c // self.heads)", "math.sqrt(c)"),
        ("gru", "(1 - z) * jnp.tanh(n) + z * h", "z * jnp.tanh(n) + (1 - z) * h"),
    ],
)
def test_wrong_candidate_fails(bundle: Any, name: str, old: str, new: str) -> None:
    """Outputs and gradients: all five tests see the wrong rule."""
    ended = run_tests(bundle(name, replace=(old, new)))
    assert ended.returncode == 1
    assert "5 failed" in ended.stdout


def test_wrong_gradient_alone_fails(bundle: Any) -> None:
    """An output that is right and a gradient that is not."""
    old = "x = nnx.relu("
    new = "x = jax.lax.stop_gradient(x)\n        x = nnx.relu("
    root = bundle("cnn", replace=(old, new))
    text = (root / "jax/source.py").read_text()
    (root / "jax/source.py").write_text("import jax\n" + text)
    ended = run_tests(root)
    assert "1 failed, 4 passed" in ended.stdout


def test_module_name_that_is_no_identifier(bundle: Any) -> None:
    ended = run_tests(bundle("cnn", module="12_net"))
    assert "5 passed" in ended.stdout


def test_float32_that_a_test_can_not_widen(bundle: Any) -> None:
    """The float64 cases are left out then, and the report says where float32 is fixed."""
    root = bundle("gpt", replace=("x.astype(jnp.float32)", 'x.astype("float32")'))
    ended = run_tests(root)
    assert "1 passed" in ended.stdout
    assert "the model fixes float32 at source:18" in (root / "REPORT.md").read_text()


def test_files_parse_and_need_neither_torch_nor_ferry(bundle: Any) -> None:
    root = bundle("config")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert names == [
        "REPORT.md",
        "jax/source.py",
        "load_weights.py",
        "tests/data/cases.json",
        "tests/data/cases.safetensors",
        "tests/data/weights.safetensors",
        "tests/test_equivalence.py",
        "tests/torch_names.py",
        "weights.json",
    ]
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            else:
                imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in imported} & {"torch", "ferry"}
    assert not re.search(r"@[A-Z_]+@", (root / "tests/test_equivalence.py").read_text())


def test_report_opens_with_what_was_proven(bundle: Any) -> None:
    lines = (bundle("cnn") / "REPORT.md").read_text().splitlines()
    assert lines[0].startswith("Proven: Net in JAX computes what its PyTorch source computes")
    assert lines[1].strip() == "Passed: parse, forward_f64."
    assert lines[2] == "Not passed or not run: resize (not_run)."
    assert "| forward_f64 | passed | 3e-16 | 1e-09 |  |  |" in lines
    assert "* `inputs_inferred`: x has 3 (m.py:2)" in lines


def test_report_lacks_nothing_it_needs() -> None:
    """An empty report makes a text that claims nothing."""
    from ferry.deliver.report import report_text

    text = report_text({}, {"entry": {"name": "Net"}}, [], None)
    assert text.splitlines()[0].strip() == "Nothing proven about Net."


def test_report_tells_the_speed_where_both_were_timed() -> None:
    from ferry.deliver.report import report_text

    plan = {"entry": {"name": "Net"}}
    speed = {"torch_eager_s": 0.002, "jax_jit_s": 0.0005, "ratio": 4.0}
    text = report_text({"speed": speed}, plan, [], None)
    assert "took 2 ms in PyTorch (eager) and 0.5 ms in JAX" in text
    assert "4.00 times as fast" in text
    assert "## Speed" not in report_text({"speed": None}, plan, [], None)


def test_step_imports_neither_torch_nor_jax() -> None:
    program = (
        "import sys, ferry.deliver.deliver\n"
        "assert not {'torch', 'jax', 'flax'} & set(sys.modules), sorted(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    subprocess.run([sys.executable, "-c", program], check=True, env=env, timeout=60)
