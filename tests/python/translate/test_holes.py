"""A refused construct leaves a hole: the rest of the file is there, can be imported and runs."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ferry.translate import draft
from ferry.translate.translator import FileTranslator
from oracle_and_port import HEAD, JAX_PYTHON, Port, port

REFUSED = "torch.nonzero(x).sum()"
SHAPES = "the shape of torch.nonzero's result depends on values"


def net(body: str, before: str = "", more: str = "") -> str:
    """A model whose forward has `body`; `before` is in front of the class, `more` are its methods."""
    return f"""{HEAD}{before}

class Fine(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = Fine()

    def forward(self, x):
        {body}
{more}

def get_inputs():
    return [torch.randn(3, 4)]
"""


def holes(made: Port) -> dict[str, dict[str, Any]]:
    return {hole["id"]: hole for hole in made.draft["holes"]}


def run_jax(made: Port, folder: Path, code: str) -> str:
    """What `code` prints beside the port's files."""
    for file in made.draft["files"]:
        (folder / file["path"]).write_text(file["content"], encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [JAX_PYTHON, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout


USE = """
import jax.numpy as jnp
from flax import nnx
import model
print(model.Fine(rngs=nnx.Rngs(0))(jnp.zeros((3, 4))).shape)
try:
    model.Net(rngs=nnx.Rngs(0))(jnp.zeros((3, 4)))
except NotImplementedError as error:
    print(error)
"""

PLACES = {
    "method": (net(f"return self.fine(x) * {REFUSED}"), ["model.py:Net.forward"]),
    "branch": (
        net(f"if x.ndim:\n            x = x * {REFUSED}\n        return self.fine(x)"),
        ["model.py:Net.forward"],
    ),
    "inner_function": (
        net(f"def inner(x):\n            return {REFUSED}\n        return inner(x)"),
        ["model.py:Net.forward"],
    ),
    "helper": (
        net("return helper(self.fine(x))", f"\ndef helper(x):\n    return {REFUSED}\n"),
        ["model.py:helper"],
    ),
    "one_line": (
        net("return helper(self.fine(x))", f"\ndef helper(x): return {REFUSED}\n"),
        ["model.py:helper"],
    ),
    "property": (
        net(
            "return self.fine(x) * self.size",
            more="\n    @property\n    def size(self):\n        x = self.fine.fc.weight\n"
            f"        return {REFUSED}\n",
        ),
        ["model.py:Net.size"],
    ),
    "head_of_a_function": (
        net(
            "return helper(self.fine(x))",
            '\n@torch.autocast("cpu")\ndef helper(x):\n    return x\n',
        ),
        ["model.py:helper"],
    ),
    "two_functions": (
        net(
            f"return self.fine(x) * helper(x) * {REFUSED}",
            f"\ndef helper(x):\n    return {REFUSED}\n",
        ),
        ["model.py:helper", "model.py:Net.forward"],
    ),
    "constant": (
        net("return self.fine(x) * SCALE", "\nx = torch.ones(3)\nSCALE = " + REFUSED + "\n"),
        ["model.py:7", "model.py:Net.forward"],
    ),
    "constant_of_a_constant": (
        net(
            "return self.fine(x) * TWICE",
            "\nx = torch.ones(3)\nSCALE = " + REFUSED + "\nTWICE = 2 * SCALE\n",
        ),
        ["model.py:7", "model.py:8", "model.py:Net.forward"],
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_function_around_it_is_the_hole(name: str, tmp_path: Path) -> None:
    source, expected = PLACES[name]
    made = port(source, "Net")
    assert made.draft["refusals"] and list(holes(made)) == expected
    said = run_jax(made, tmp_path, USE).splitlines()
    refusals = [f"model.py:{r['line']}: {r['why']}" for r in made.draft["refusals"]]
    assert said[0] == "(3, 4)" and len(said) == 2
    assert any(refusal.startswith(said[1]) for refusal in refusals)


def test_types_come_from_the_run() -> None:
    source = net(
        "return self.fine(self.mix(x, x.argmax(-1), 2)[0])",
        more=f"""
    def mix(self, x, index, times: int, unused=None):
        \"\"\"Mix.\"\"\"
        if times:
            y = x * {REFUSED}
        return y + index[:, None], times
""",
    )
    (hole,) = holes(port(source, "Net")).values()
    assert (hole["class"], hole["function"]) == ("Net", "mix")
    lines = source.splitlines()
    assert hole["text"] == f"y = x * {REFUSED}" and hole["why"].startswith(SHAPES)
    assert lines[hole["line"] - 1].strip() == hole["text"]
    assert [lines[n - 1].split("(")[0].strip() for n in hole["lines"]] == [
        "def mix",
        "return y + index[:, None], times",
    ]
    unknown = {"kind": None, "dtype": None, "shape": None}
    tensor = {"kind": "tensor", "dtype": "float32", "shape": [None, 4]}
    assert hole["inputs"] == [
        {"name": "x", **tensor},
        {"name": "index", "kind": "tensor", "dtype": "int64", "shape": [None]},
        {"name": "times", "kind": "int", "dtype": None, "shape": None},
        {"name": "unused", **unknown},
    ]
    assert hole["outputs"] == [tensor, {"kind": "int", "dtype": None, "shape": None}]


def test_head_and_docstring_stay_and_all_refusals_are_listed() -> None:
    source = net(
        f'"""What it does."""\n        y = {REFUSED}\n        z = {REFUSED}\n        return y + z'
    )
    made = port(source, "Net")
    assert made.codes == [("data_dependent_shape", n) for n in (23, 24)]
    forward = f'''    def __call__(self, x):
        """What it does."""
        raise NotImplementedError("model.py:23: {SHAPES}")
'''
    assert forward in made.text and "nonzero(x)" not in made.text


def test_a_class_that_is_refused_itself(tmp_path: Path) -> None:
    pool = (
        "\nclass Pool(nn.FractionalMaxPool2d):\n    def forward(self, x):\n        return 2 * x\n"
    )
    source = net("return self.pool(self.fine(x))", pool).replace(
        "self.fine = Fine()", "self.fine = Fine()\n        self.pool = Pool(2, output_size=3)"
    )
    made = port(source, "Net")
    assert made.draft["refusals"]
    (hole,) = holes(made).values()
    assert (hole["id"], hole["class"], hole["function"]) == ("model.py:Pool", "Pool", None)
    assert [item["name"] for item in hole["inputs"]] == ["x"]
    assert run_jax(made, tmp_path, USE).startswith("(3, 4)\nmodel.py:")


def test_a_fault_of_the_engine_is_a_hole_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(tr: FileTranslator, node: ast.Call) -> str | None:
        if "tanh" in ast.unparse(node.func):
            raise ValueError("broken")
        return None

    rules = {**draft.RULES, ast.Call: (fails, *draft.RULES[ast.Call])}
    monkeypatch.setattr(draft, "RULES", rules)
    made = port(
        net(
            "return torch.tanh(self.fine(x)) * helper(x)",
            f"\ndef helper(x):\n    return {REFUSED}\n",
        ),
        "Net",
    )
    assert [r["code"] for r in made.draft["refusals"]] == ["engine_error", "data_dependent_shape"][
        ::-1
    ]
    assert list(holes(made)) == ["model.py:helper", "model.py:Net.forward"]
    assert run_jax(made, tmp_path, USE).startswith("(3, 4)\nmodel.py:")


def test_what_is_refused_again_takes_its_function_and_then_its_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(tr: FileTranslator, node: ast.FunctionDef) -> str | None:
        if node.name == "forward" and tr.source.class_of(node).name == "Net":
            raise ValueError("broken")
        return None

    rules = {**draft.RULES, ast.FunctionDef: (fails, *draft.RULES[ast.FunctionDef])}
    monkeypatch.setattr(draft, "RULES", rules)
    made = port(net(f"return {REFUSED}"), "Net")
    (hole,) = holes(made).values()
    assert hole["id"] == "model.py:Net.forward"
    assert "def __call__(self, *args, **kwargs):\n        raise" in made.text


def test_nothing_refused_leaves_no_hole() -> None:
    assert port(net("return self.fine(x)"), "Net").draft["holes"] == []


def test_two_drafts_are_the_same_bytes() -> None:
    source, _ = PLACES["two_functions"]
    assert port(source, "Net").draft == port(source, "Net").draft
