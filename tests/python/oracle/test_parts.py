"""Each class of the caller's as an entry of its own: what the capture says it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ferry.oracle.parts import class_parts
from ferry.oracle.program import opened
from ferry.oracle.trees import Arguments
from oracle_harness import Json, capture_source, inspect_source, request_of

BLOCKS = """
class Leaf(nn.Module):
    def __init__(self, n, scale=2.0):
        super().__init__()
        self.fc = nn.Linear(n, n)
        self.scale = scale

    def forward(self, x):
        return self.fc(x) * self.scale


class Pair(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.first = Leaf(n)
        self.second = Leaf(n, scale=0.5)

    def forward(self, x):
        return self.second(self.first(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.pairs = nn.ModuleList([Pair(4), Pair(4)])
        self.last = Leaf(4)

    def forward(self, x):
        for pair in self.pairs:
            x = pair(x)
        return self.last(x)


def get_inputs():
    return [torch.randn(3, 4)]
"""


def parts_of(source: str, **given: Any) -> dict[str, Json]:
    """The parts by class, in their order."""
    return {part["class"]: part for part in capture_source(source, **given).result["parts"]}


def test_leaf_first_with_places_and_counts() -> None:
    parts = parts_of(BLOCKS, entry="Net")
    assert list(parts) == ["Leaf", "Pair", "Net"]
    seen = [(p["line"], p["path"], p["instances"], p["calls"]) for p in parts.values()]
    assert seen == [(5, "pairs.0.first", 5, 5), (15, "pairs.0", 2, 2), (25, "", 1, 1)]
    assert parts["Leaf"]["init_expr"] == "Leaf(4)"
    assert parts["Leaf"]["inputs_expr"] == "[torch.randn((3, 4))]"
    assert parts["Leaf"]["entry"] == "model:Leaf" and parts["Leaf"]["file"] == "model.py"


def net(classes: str, build: str, forward: str, inputs: str = "[torch.randn(3, 4)]") -> str:
    """A model that is built and run by one line each."""
    return f"""{classes}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {build}

    def forward(self, x):
        {forward}


def get_inputs():
    return {inputs}
"""


def inner(parameters: str, forward: str = "x", body: str = "return self.fc(x)") -> str:
    """A class Inner over a linear layer."""
    return f"""
class Inner(nn.Module):
    def __init__(self, {parameters}):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, {forward}):
        {body}
"""


CONFIG = """
from dataclasses import dataclass
import functools

@dataclass
class Config:
    n: int
    rates: tuple = (0.5, 1.0)

class Options:
    def __init__(self, n, name="x"):
        self.n = n
"""

CONSTRUCTED = {
    "class": ("act", "Inner(nn.GELU)", "Inner(nn.GELU)"),
    "function": ("act", "Inner(act=F.relu)", "Inner(act=F.relu)"),
    "partial": (
        "norm",
        "Inner(functools.partial(nn.LayerNorm, eps=1e-6))",
        'Inner(__import__("functools").partial(nn.LayerNorm, eps=1e-06))',
    ),
    "dataclass": ("c", "Inner(Config(4))", "Inner(Config(n=4, rates=(0.5, 1.0)))"),
    "object": ("c", "Inner(Options(4, name='y'))", "Inner(Options(4, name='y'))"),
    "containers": (
        "a, b",
        "Inner([1, (2,)], b={'k': float('inf')})",
        "Inner([1, (2,)], b={'k': float(\"inf\")})",
    ),
    "dtype": ("d", "Inner(torch.float32)", "Inner(torch.float32)"),
    "copy": ("n", "__import__('copy').deepcopy(Inner(3))", "Inner(3)"),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_constructor_arguments(name: str) -> None:
    parameters, built, expression = CONSTRUCTED[name]
    source = net(CONFIG + inner(parameters), f"self.inner = {built}", "return self.inner(x)")
    part = parts_of(source, entry="Net")["Inner"]
    assert (part["init_expr"], part["why"]) == (expression, None)
    inspected = inspect_source(
        source, entry=part["entry"], init_expr=part["init_expr"], inputs_expr=part["inputs_expr"]
    )
    assert inspected["entry"]["name"] == "Inner"


def test_a_module_of_the_callers_is_built_again() -> None:
    wrap = """
class Wrap(nn.Module):
    def __init__(self, layer, n):
        super().__init__()
        self.layers = nn.ModuleList([layer for _ in range(n)])

    def forward(self, x):
        return self.layers[0](x)
"""
    build = "self.wrap = Wrap(Inner(1), n=2)"
    parts = parts_of(net(inner("k") + wrap, build, "return self.wrap(x)"), entry="Net")
    assert parts["Wrap"]["init_expr"] == "Wrap(Inner(1), n=2)"


@pytest.mark.parametrize(
    ("built", "why"),
    [("Inner(torch.randn(3))", "a tensor"), ("Inner(lambda x: x)", "<lambda> under a name")],
)
def test_what_cannot_be_written_down_is_said(built: str, why: str) -> None:
    source = net(inner("k"), f"self.inner = {built}", "return self.inner(x)")
    part = parts_of(source, entry="Net")["Inner"]
    assert part["init_expr"] is None and why in part["why"]


CALLED = {
    "integers": (
        "x",
        "return self.fc.weight[x]",
        "self.inner(x[:, 0].long().clamp(0, 3) * 0 + torch.tensor([0, 3, 1]))",
        "[torch.randint(0, 4, (3,))]",
    ),
    "mask": (
        "x, mask",
        "return self.fc(x).masked_fill(mask[0], 0.0)",
        "self.inner(x, mask=torch.ones(4, 4, dtype=torch.bool).tril())",
        "{'x': torch.randn((3, 4)), 'mask': torch.ones((4, 4), dtype=torch.bool).tril(0)}",
    ),
    "infinities": (
        "x, mask",
        "return self.fc(x) + torch.exp(mask)[0]",
        "self.inner(x, torch.full((4, 4), float('-inf')).triu(1))",
        '[torch.randn((3, 4)), torch.full((4, 4), float("-inf"), dtype=torch.float32).triu(1)]',
    ),
    "probabilities": (
        "x",
        "return self.fc(x)",
        "self.inner(x.softmax(-1))",
        "[torch.randn((3, 4)).softmax(-1)]",
    ),
    "range": (
        "x",
        "return self.fc(x)",
        "self.inner(x * 0 + torch.linspace(1, 3, 12).view(3, 4))",
        "[torch.rand((3, 4)) * 2 + 1]",
    ),
    "few_values": (
        "x, kind",
        "return self.fc(x) * kind",
        "self.inner(x, torch.tensor([[-1.5], [0.5], [-1.5]]).expand(3, 4))",
        "[torch.randn((3, 4)), torch.tensor([-1.5, 0.5])[torch.randint(2, (3, 4))]]",
    ),
    "tree": (
        "x, more, flag=True",
        "return self.fc(x) + more['k'][0]",
        "self.inner(x, {'k': (x, 2)}, None)",
        "[torch.randn((3, 4)), {'k': (torch.randn((3, 4)), 2)}, None]",
    ),
    "keywords": (
        "x, *, scale",
        "return self.fc(x) * scale",
        "self.inner(x, scale=2)",
        "{'x': torch.randn((3, 4)), 'scale': 2}",
    ),
}


@pytest.mark.parametrize("name", CALLED)
def test_arguments_of_a_call(name: str) -> None:
    parameters, body, called, expression = CALLED[name]
    source = net(inner("", parameters, body), "self.inner = Inner()", f"return {called}")
    part = parts_of(source, entry="Net")["Inner"]
    assert part["inputs_expr"] == expression
    again = capture_source(
        source, entry=part["entry"], init_expr=part["init_expr"], inputs_expr=part["inputs_expr"]
    )
    assert again.result["plan"]["entry"]["name"] == "Inner"


def test_arguments_that_are_no_tree() -> None:
    source = net(
        inner("", "x, other", "return other(self.fc(x))"),
        "self.inner = Inner(); self.fc = nn.Linear(4, 4)",
        "return self.inner(x, self.fc)",
    )
    part = parts_of(source, entry="Net")["Inner"]
    assert part["inputs_expr"] is None and "a Linear" in part["why"]


def test_a_class_that_is_used_by_another_method_was_not_called() -> None:
    classes = inner("") + "\n    def encode(self, x):\n        return self.fc(x)\n"
    part = parts_of(
        net(classes, "self.inner = Inner()", "return self.inner.encode(x)"), entry="Net"
    )
    assert part["Inner"]["calls"] == 0 and part["Inner"]["instances"] == 1


def test_a_class_that_holds_itself() -> None:
    tree = """
class Tree(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.below = Tree(depth - 1) if depth else None

    def forward(self, x):
        x = self.fc(x)
        return x if self.below is None else self.below(x)
"""
    parts = parts_of(net(tree, "self.tree = Tree(2)", "return self.tree(x)"), entry="Net")
    assert [p["instances"] for p in parts.values()] == [3, 1]
    assert parts["Tree"]["init_expr"] == "Tree(2)"
    alone = parts_of(
        tree + "\ndef get_inputs():\n    return [torch.randn(3, 4)]\n",
        init={"args": [1], "kwargs": {}},
        entry="Tree",
    )
    assert [(p["path"], p["instances"]) for p in alone.values()] == [("", 2)]


def test_a_function_has_no_parts() -> None:
    source = "def f(x):\n    return x * 2\n\n\ndef get_inputs():\n    return [torch.randn(3)]\n"
    assert capture_source(source, entry="f").result["parts"] == []


def test_constructors_are_as_they_were() -> None:
    source = net(
        inner("") + "class Plain(Inner):\n    pass\n",
        "self.plain = Plain()",
        "return self.plain(x)",
    )
    arguments = Arguments([torch.randn(3, 4)], {})
    with opened(request_of(source, entry="Net")) as program:
        before = program.entry.module.Inner.__init__
        parts = class_parts(program, program.build(), {}, arguments)
        assert [p["init_expr"] for p in parts] == ["Plain()", "Net()"]
        assert program.entry.module.Inner.__init__ is before
        assert "__init__" not in vars(program.entry.module.Plain)
