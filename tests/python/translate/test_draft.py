"""The step as a whole: results, several files, what is left out, the same bytes twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from ferry.step import MemoryContext, StepError
from ferry.translate import draft
from oracle_and_port import port, run_ports
from sources import module

PARTS = """import torch.nn as nn

NORMS = {"batch": nn.BatchNorm1d, "layer": lambda n: nn.LayerNorm(n)}


class Part(nn.Module):
    def __init__(self, n, kind, **kwargs):
        super(Part, self).__init__()
        self.fc = nn.Linear(n, n, **kwargs)
        self.norm = NORMS[kind](n)

    def forward(self, x):
        return self.norm(self.fc(x))
"""

MODEL = """import torch
from torch import nn
from .parts import Part


class Base(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.parts = nn.ModuleDict({"a": Part(n, "batch", bias=False), "b": Part(n, "layer")})

    def forward(self, x):
        for part in self.parts.values():
            x = x + part(x)
        return x


class Net(Base):
    def __init__(self):
        super().__init__(4)
        self.out = nn.Linear(4, 2)
        self.reset()

    def reset(self):
        for p in self.parameters():
            nn.init.normal_(p)

    def forward(self, x):
        return torch.tanh(self.out(super().forward(x)))


def get_inputs():
    return [torch.randn(3, 4)]
"""

PACKAGE = {
    "net/__init__.py": "from .model import Net\n",
    "net/parts.py": PARTS,
    "net/model.py": MODEL,
}


def test_package_with_bases(tmp_path: Path) -> None:
    one = port(PACKAGE, "net.model:Net")
    assert one.draft["refusals"] == [] and one.draft["assumptions"] == []
    assert [f["path"] for f in one.draft["files"]] == sorted([*PACKAGE, "net/nn_layers.py"])
    assert "from net.nn_layers import" in one.text
    assert "return jnp.tanh(self.out(super().__call__(x)))" in one.text
    assert "def reset" not in one.text and "get_inputs" not in one.text
    result = run_ports({"package": one}, tmp_path)["package"]
    assert result["failed"] == {} and max(result["errors"].values()) < 1e-5


def test_same_input_same_bytes() -> None:
    source = module("return self.fc(x).softmax(-1)", "self.fc = nn.Linear(4, 2)")
    first, second = port(source, "Net"), port(source, "Net")
    assert first.draft == second.draft


def test_map_of_tied_weights() -> None:
    """The map fills the path that nnx lists (the first by name) from torch's first name."""
    init = "self.z_in = nn.Linear(4, 4)\nself.a_out = nn.Linear(4, 4)\n"
    init += "self.a_out.weight = self.z_in.weight"
    weights = port(module("return self.a_out(self.z_in(x))", init), "Net").draft["weights"]
    assert weights["format"] == "ferry.weights/1"
    assert {"to": "a_out.weight", "from": ["z_in.weight"], "ops": []} in weights["params"]
    assert weights["tied"] == {"a_out.weight": "z_in.weight"}
    assert weights["ignored"] == ["a_out.weight"]


def test_never_run_code_is_left_out_and_listed() -> None:
    before = "def unused(x):\n    return torch.vander(x)\n\n\n"
    one = port(
        module(
            "if self.slow:\n    return torch.vander(x)\nreturn -x",
            "self.slow = False",
            before=before,
        ),
        "Net",
    )
    assert one.draft["refusals"] == []
    assert [a["code"] for a in one.draft["assumptions"]] == ["left_out", "branch_left_out"]
    assert "def unused" not in one.text
    assert 'raise NotImplementedError("not ported: torch.vander is not known")' in one.text


def test_syntax_error_names_the_line() -> None:
    with pytest.raises(StepError) as caught:
        draft.run(MemoryContext({"files": [{"path": "m.py", "content": "x = 1\ndef f(:\n"}]}))
    assert (caught.value.code, caught.value.file, caught.value.line) == ("source_syntax", "m.py", 2)


def test_a_fault_of_the_engine_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("lost")

    source = module("return x + 1")
    one = port(source, "Net")
    monkeypatch.setattr(draft.FileTranslator, "splice", broken)
    result = draft.translate(
        [{"path": "model.py", "content": source}], one.captured["facts"], [], {}
    )
    assert [r["code"] for r in result["refusals"]] == ["engine_error"]
    assert "KeyError" in result["refusals"][0]["why"]


def test_diff_applies_line_by_line() -> None:
    """The counts of the diff and the files agree."""
    source = module("return torch.tanh(x)")
    one = port(source, "Net")
    changed = one.draft["changed"]
    new = one.text.splitlines()
    assert len(source.splitlines()) == changed["kept"] + changed["removed"]
    assert len(new) == changed["kept"] + changed["added"] + changed["prelude"]
    diff = one.draft["diff"].splitlines()
    assert "-        return torch.tanh(x)" in diff and "+        return jnp.tanh(x)" in diff
