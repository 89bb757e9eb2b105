"""Inputs that nobody gave, inferred from the layers that an argument reaches."""

from __future__ import annotations

import pytest
from oracle_harness import capture_source, inspect_source, refusal


def net(init: str, forward: str, arguments: str = "x") -> str:
    body = "\n".join(f"        {line}" for line in init.splitlines())
    steps = "\n".join(f"        {line}" for line in forward.splitlines())
    return (
        f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{body}\n\n"
        f"    def forward(self, {arguments}):\n{steps}\n"
    )


@pytest.mark.parametrize(
    ("init", "forward", "shapes"),
    [
        ("self.fc = nn.Linear(10, 2)", "return self.fc(x)", [[2, 10]]),
        (
            "self.fc = nn.Linear(10, 2)",
            "b, t, c = x.shape\nreturn self.fc(x)",
            [[2, 8, 10]],
        ),
        ("self.c = nn.Conv1d(6, 2, 3)", "return F.relu(self.c(x))", [[2, 6, 32]]),
        (
            "self.c = nn.Conv2d(1, 4, 3)\nself.fc = nn.Linear(4 * 26 * 26, 2)",
            "return self.fc(self.c(x).flatten(1))",
            [[2, 1, 28, 28]],
        ),
        (
            "self.body = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Conv3d(2, 3, 3)))",
            "return self.body(x)",
            [[2, 2, 16, 16, 16]],
        ),
        (
            "self.layers = nn.ModuleList([nn.Linear(7, 7) for _ in range(2)])",
            "for layer in self.layers:\n    x = layer(x)\nreturn x",
            [[2, 7]],
        ),
        ("self.rnn = nn.LSTM(5, 4, batch_first=True)", "return self.rnn(x)[0]", [[2, 8, 5]]),
        ("self.rnn = nn.GRU(5, 4)", "return self.rnn(x)[0]", [[8, 2, 5]]),
        ("self.fc = nn.Linear(784, 2)", "return self.fc(x.view(-1, 784))", None),
        ("self.ln = nn.LayerNorm(12)", "return self.ln(x)", [[2, 12]]),
    ],
)
def test_shapes(init, forward, shapes):
    result = inspect_source(net(init, forward))
    assert result["inputs"]["how"] == "inferred"
    if shapes is not None:
        assert [spec["shape"] for spec in result["inputs"]["specs"]] == shapes
    assert result["assumptions"][0]["code"] == "inputs_inferred"
    assert result["assumptions"][0]["line"] == 4


def test_recurrent_state_is_told_from_input():
    source = net(
        "self.rnn = nn.LSTM(5, 4, num_layers=2, bidirectional=True)",
        "return self.rnn(x, (h, c))[0]",
        "x, h, c",
    )
    specs = inspect_source(source)["inputs"]["specs"]
    assert [spec["shape"] for spec in specs] == [[8, 2, 5], [4, 2, 4], [4, 2, 4]]


def test_embedding_indices_stay_inside_the_table():
    source = net("self.e = nn.Embedding(11, 3)", "return self.e(idx)", "idx, targets=None")
    specs = inspect_source(source)["inputs"]["specs"]
    assert specs == [{"shape": [2, 8], "dtype": "int64", "low": 0, "high": 11}]


def test_capture_runs_on_the_same_inferred_inputs():
    oracle = capture_source(net("self.fc = nn.Linear(10, 2)", "return self.fc(x)"))
    assert oracle.plan["inputs"][0]["args"][0]["shape"] == [2, 10]
    assert oracle.result["assumptions"][0]["code"] == "inputs_inferred"


def test_what_cannot_be_inferred_is_named():
    source = net("pass", "assert x.shape == (7, 11, 13)\nreturn x + weird.tokens", "x, weird")
    error = refusal(source)
    assert error.code == "inputs_unknown"
    assert "'weird'" in error.message
    assert error.file == "model.py"
