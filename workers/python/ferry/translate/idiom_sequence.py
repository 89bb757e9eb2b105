"""When ``nn.Sequential`` may become ``nnx.Sequential``.

Flax's one spreads a tuple or a dict that a child returns over the arguments of the next, and its children
are in ``layers``; so every child must return one tensor, and only calls and reads of its elements are
carried over.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from ferry.translate.project import Project, Unit

_SEVERAL_OUTPUTS = (
    "LSTM",
    "GRU",
    "RNN",
    "LSTMCell",
    "MultiheadAttention",
    "AdaptiveLogSoftmaxWithLoss",
)
_ITERATE = frozenset(["enumerate", "zip", "list", "tuple", "reversed", "iter", "len"])
_HANDED_ON = (
    ast.Assign,
    ast.AnnAssign,
    ast.Return,
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.keyword,
    ast.IfExp,
    ast.ListComp,
    ast.Expr,
)


class HasClass(Protocol):
    """A module of the run, of which only the class is looked at."""

    @property
    def cls(self) -> str:
        """The dotted name of its class."""


class Use(Enum):
    """What a use of a Sequential asks of it."""

    CALLED = "called"  # nothing that both do not have
    LISTED = "listed"  # its children: `layers` in the port
    OTHER = "other"


def holds(
    project: Project,
    unit: Unit,
    node: ast.Call,
    paths: Sequence[str],
    modules: Mapping[str, HasClass],
) -> bool:
    """Whether a construction names its children by position and each returns one tensor."""
    if node.keywords or not all(_is_child(unit, a) for a in node.args):
        return False
    children = [m for p, m in modules.items() if p.rpartition(".")[0] in paths and p not in paths]
    return all(_returns_tensor(project, child.cls) for child in children)


def _is_child(unit: Unit, node: ast.expr) -> bool:
    return isinstance(node, ast.Starred) or unit.facts.kinds(node) == {"module"}


def _returns_tensor(project: Project, dotted: str) -> bool:
    """Whether calls of a class gave one tensor each, as far as seen."""
    module, _, name = dotted.rpartition(".")
    if dotted.startswith("torch.nn.modules."):
        return name not in _SEVERAL_OUTPUTS
    unit = project.modules.get(module)
    owner = unit.top.get(name) if unit is not None else None
    if unit is None or not isinstance(owner, ast.ClassDef):
        return False
    forward = project.method(owner, "forward")
    if forward is None:
        return False
    home = project.unit_of(forward)
    returns = [n for n in ast.walk(forward) if isinstance(n, ast.Return) and n.value is not None]
    return bool(returns) and all(
        home.facts.kinds(n.value) <= {"tensor"} for n in returns if n.value
    )


def use(node: ast.AST, parent: ast.AST) -> Use:
    """What one expression does with a Sequential."""
    if isinstance(parent, ast.Call):
        name = parent.func.id if isinstance(parent.func, ast.Name) else ""
        return Use.LISTED if name in _ITERATE else Use.CALLED
    if isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node:
        return Use.LISTED
    if isinstance(parent, ast.Starred):
        return Use.LISTED
    if isinstance(parent, ast.Subscript) and parent.value is node:
        whole = isinstance(parent.slice, ast.Slice) or not isinstance(parent.ctx, ast.Load)
        return Use.OTHER if whole else Use.LISTED
    if isinstance(parent, ast.Attribute):
        return Use.CALLED if parent.attr in ("forward", "train", "eval", "to") else Use.OTHER
    if isinstance(parent, ast.Compare):
        return Use.CALLED if isinstance(parent.ops[0], (ast.Is, ast.IsNot)) else Use.OTHER
    return Use.CALLED if isinstance(parent, _HANDED_ON) else Use.OTHER
