"""For each rule a source and, computed independently, what a candidate with the bug gives."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

Wrong = Callable[[list[Any], dict[str, Tensor]], Any]


@dataclass(frozen=True)
class Case:
    """`wrong` computes the candidate's output from the inputs and the weights by torch name.

    Without `stage` it is the root's output in the first case; else it gives the arrays of the
    first case of that stage, by their names, from all inputs by path and the weights. Where it
    is text it is a JAX expression over ``x`` and ``w``.
    """

    code: str
    source: str
    inputs: str
    wrong: Wrong | str
    stage: str | None = None
    place: tuple[str, int] = (".", 0)

    @property
    def name(self) -> str:
        first = self.source.strip().splitlines()
        return f"{self.code}-{first[-1].strip()[:40]}"


def forward(body: str, init: str = "pass", args: str = "x") -> str:
    """A model with a forward of these lines."""
    return (
        f"class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"{textwrap.indent(textwrap.dedent(init).strip(), ' ' * 8)}\n"
        f"    def forward(self, {args}):\n"
        f"{textwrap.indent(textwrap.dedent(body).strip(), ' ' * 8)}\n"
    )


def layer(expression: str, after: str = "") -> str:
    """A model that is one layer, called `f`."""
    return forward(f"return self.f(x){after}", f"self.f = {expression}")


def all_cases() -> list[Case]:
    """Those of all files in this folder."""
    found: list[Case] = []
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        found += importlib.import_module(f"bug_cases.{path.stem}").CASES
    return found
