"""Facts: what each expression was when it ran, from an instrumented copy of the source."""

from __future__ import annotations

import pytest
import torch
from oracle_harness import capture_source

NET = '''
class Net(nn.Module):
    """A docstring stays first."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.act = F.gelu

    def forward(self, x):
        "ünïcode"; b, n = x.shape
        y = self.fc(x)
        v = y.view(-1)
        v.add_(1)
        if self.training:
            y = y * 2
        total = 0
        for i in range(3):
            total += i
        scale = [k / 2 for k in (1, 2)]
        rows = y[:, 0]
        return y, rows, None, total

    def unused(self, x):
        return x

def get_inputs():
    return [torch.randn(2, 3)]
'''


@pytest.fixture(scope="module")
def net():
    return capture_source(NET)


def one(oracle, text):
    return oracle.facts_of(text)[0]


def test_kinds_and_shapes(net):
    fact = one(net, "self.fc(x)")
    assert fact["kind"] == "tensor" and fact["dtype"] == "float32" and fact["ndim"] == 2
    assert fact["shapes"] == [[2, 3], [3, 3]]
    assert one(net, "self.fc")["cls"] == "torch.nn.modules.linear.Linear"
    assert one(net, "x.shape")["kind"] == "size"
    assert one(net, "-1") == {"kind": "int", "count": 4, "values": [-1]}
    assert one(net, "x.shape")["items"][1]["values"] == [3]
    assert one(net, "(1, 2)")["kind"] == "tuple"
    assert one(net, "k / 2")["values"] == [0.5, 1.0]


def test_branches_have_both_modes(net):
    assert one(net, "self.training") == {"kind": "bool", "count": 4, "values": [False, True]}


def test_views_share_a_storage_and_results_do_not(net):
    y, view = one(net, "self.fc(x)"), one(net, "y.view(-1)")
    assert set(view["storage"]) == set(y["storage"])
    assert set(one(net, "v.add_(1)")["storage"]) == set(y["storage"])
    assert not set(one(net, "y * 2")["storage"]) & set(y["storage"])


def test_the_old_value_of_an_augmented_assignment(net):
    assert one(net, "total")["values"][:2] == [0, 1]


def test_columns_count_utf8_bytes(net):
    assert net.facts_of("x.shape")


def test_functions_that_ran(net):
    lines = net.sources["model.py"].splitlines()
    ran = [lines[first - 1].strip() for first, _ in net.result["facts"]["ran"]["model.py"]]
    assert ran == ["def __init__(self):", "def forward(self, x):"]


def test_modules(net):
    root, fc = net.result["facts"]["modules"]
    assert (root["path"], root["class"], root["file"]) == ("", "model.Net", "model.py")
    assert root["config"]["act"].endswith("gelu")
    assert fc["config"]["in_features"] == 3 and fc["file"] is None


def test_mixed_kinds_and_helpers_of_other_files():
    oracle = capture_source(
        {
            "model.py": """
            import torch
            from torch import nn
            from helper import twice

            class Net(nn.Module):
                def forward(self, x, mask=None):
                    for value in (1, x, None):
                        y = value
                        y
                    return twice(x)
            """,
            "helper.py": "def twice(x):\n    return (lambda t: t * 2)(x)\n",
        },
        entry="model:Net",
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.facts_of("y")[0]["kinds"] == ["int", "tensor", "none"]
    assert oracle.facts_of("t * 2", "helper.py")[0]["kind"] == "tensor"


def test_instrumented_code_computes_the_same():
    oracle = capture_source(
        """
    class Base(nn.Module):
        scale = 2

        def forward(self, x):
            return x * self.scale

    class Net(Base):
        def forward(self, x):
            def inner(*args, **kwargs):
                nonlocal x
                x = x + sum(args) + kwargs["b"]
                yield from (x, x)

            match x.ndim:
                case 2:
                    kept = [t for t in inner(1, 2, b=3) if (n := t.ndim) == 2]
                case _:
                    raise ValueError
            first, *rest = kept
            text = f"{n:>{n}}"
            return super().forward(first) + len(rest) + len(text), {**{"a": first}}
    """,
        entry="Net",
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.result["notes"] == []
    x = oracle.given["x0/0"].double()
    assert bool((oracle.expected["c0/out/0"] == (x + 6) * 2 + 1 + 2).all())
    assert oracle.facts_of("super().forward(first)")[0]["kind"] == "tensor"


def test_facts_of_a_source_that_fails_when_instrumented_are_partial():
    oracle = capture_source(
        """
    import inspect

    class Net(nn.Module):
        def forward(self, x):
            y = x * 2
            if "__ferry_site__" in self.forward.__code__.co_names:
                raise RuntimeError("seen")
            return y
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.facts_of("x * 2")[0]["kind"] == "tensor"
    assert any("facts are incomplete" in note for note in oracle.result["notes"])


def test_backward_rules_have_facts():
    oracle = capture_source(
        """
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3

    class Net(nn.Module):
        def forward(self, x):
            return Twice.apply(x)
    """,
        entry="Net",
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.facts_of("grad * 3")[0]["shapes"] == [[2, 3]]
    case = oracle.cases("gradients")[0]
    found = oracle.expected[f"{case['id']}/grad/input/0"]
    assert torch.equal(found, 3 * oracle.given["ct0/0"])
