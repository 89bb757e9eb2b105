"""Which layer of a model an argument reaches first, and what rank the code unpacks it to."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from ferry.oracle.program import Program

DEPTH = 6
KEEPS_SHAPE = (
    nn.Identity,
    nn.modules.dropout._DropoutNd,
    nn.ReLU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
)


@dataclass
class Reached:
    """The first layer that takes an argument as it is, and its number of axes, where known.

    `state` says that the layer takes it as its recurrent state, not as its input.
    """

    layer: nn.Module | None = None
    rank: int | None = None
    state: bool = False


def reached_layers(program: Program, model: Any, names: list[str]) -> dict[str, Reached]:
    """What can be said of each argument of the entry, by name."""
    if not isinstance(model, nn.Module):
        return {}
    return {name: _Walk(program).module(model, name, 0) for name in names}


class _Walk:
    """Follows one argument through `forward` methods of the caller's classes."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def module(self, module: nn.Module, name: str | None, depth: int) -> Reached:
        """What `module` does first with its argument `name` (None: with its first argument)."""
        if isinstance(module, nn.Sequential | nn.ModuleList):
            for child in module:
                if not isinstance(child, KEEPS_SHAPE):
                    return self.module(child, None, depth + 1)
            return Reached()
        forward = self._forward(type(module))
        if forward is None or depth > DEPTH:
            return Reached(_representative(module))
        parameters = [a.arg for a in (*forward.args.posonlyargs, *forward.args.args)][1:]
        if name is None and not parameters:
            return Reached()
        return self._scan(module, forward, name or parameters[0], depth)

    def _forward(self, cls: type) -> ast.FunctionDef | None:
        """The `forward` of a class of the caller, through its bases; None for torch's own."""
        for base in inspect.getmro(cls):
            for file in self._program.files:
                node = file.classes.get(base.__name__)
                if node is None or file.module != base.__module__:
                    continue
                for item in node.body:
                    if isinstance(item, ast.FunctionDef) and item.name == "forward":
                        return item
        return None

    def _scan(self, owner: nn.Module, forward: ast.FunctionDef, name: str, depth: int) -> Reached:
        aliases = {name}
        found = Reached()
        local: dict[str, nn.Module] = {}
        for node in _in_order(forward):
            if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                child = _resolve(node.iter, owner, local)
                first = next(iter(child), None) if isinstance(child, nn.ModuleList) else None
                if first is not None:
                    local[node.target.id] = first
            elif isinstance(node, ast.Assign):
                found.rank = found.rank or _unpacked_rank(node, aliases)
            elif isinstance(node, ast.Call):
                reached = self._called(node, owner, local, aliases, depth)
                if reached is not None:
                    return Reached(reached.layer, found.rank or reached.rank, reached.state)
        return found

    def _called(
        self,
        node: ast.Call,
        owner: nn.Module,
        local: dict[str, nn.Module],
        aliases: set[str],
        depth: int,
    ) -> Reached | None:
        """What the callee makes of the argument, if `node` passes it on as it is."""
        callee = _resolve(node.func, owner, local)
        if callee is None or isinstance(callee, KEEPS_SHAPE):
            return None
        if isinstance(callee, nn.RNNBase | nn.RNNCellBase) and _names(node.args[1:]) & aliases:
            return Reached(callee, state=True)
        for position, argument in enumerate(node.args):
            if isinstance(argument, ast.Name) and argument.id in aliases:
                return self.module(callee, self._parameter(callee, position), depth + 1)
        for keyword in node.keywords:
            if isinstance(keyword.value, ast.Name) and keyword.value.id in aliases:
                return self.module(callee, keyword.arg, depth + 1)
        return None

    def _parameter(self, callee: nn.Module, position: int) -> str | None:
        forward = self._forward(type(callee))
        if forward is None:
            return None
        names = [a.arg for a in (*forward.args.posonlyargs, *forward.args.args)][1:]
        return names[position] if position < len(names) else None


def _names(nodes: list[ast.expr]) -> set[str]:
    """Names among `nodes` and in tuples of them, such as the state ``(h, c)``."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Tuple):
            found |= _names(node.elts)
    return found


def _representative(module: nn.Module) -> nn.Module:
    """For torch's composite layers, the part whose size says what comes in."""
    if isinstance(module, nn.Transformer):
        module = module.encoder
    if isinstance(module, nn.TransformerEncoder | nn.TransformerDecoder):
        module = module.layers[0]
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        module = module.self_attn
    return module


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` roughly as they are evaluated: arguments before their call."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.For):
            yield child
        yield from _in_order(child)
        if not isinstance(child, ast.For):
            yield child


def _resolve(node: ast.expr, owner: nn.Module, local: dict[str, nn.Module]) -> nn.Module | None:
    """The module that an expression such as ``self.a.b`` or ``self.layers[0]`` names."""
    value: Any = None
    if isinstance(node, ast.Name):
        value = owner if node.id == "self" else local.get(node.id)
    elif isinstance(node, ast.Attribute):
        inner = _resolve(node.value, owner, local)
        value = getattr(inner, node.attr, None) if inner is not None else None
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        inner = _resolve(node.value, owner, local)
        if isinstance(inner, nn.ModuleList | nn.Sequential | nn.ModuleDict):
            value = _item(inner, node.slice.value)
    return value if isinstance(value, nn.Module) else None


def _item(modules: Any, key: Any) -> Any:
    try:
        return modules[key]
    except (KeyError, IndexError, TypeError):
        return None


def _unpacked_rank(node: ast.Assign, aliases: set[str]) -> int | None:
    """4 for ``b, c, h, w = x.shape``; None for anything else."""
    value = node.value
    if isinstance(value, ast.Call) and not value.args:
        value = value.func
    target = node.targets[0]
    if not (isinstance(value, ast.Attribute) and value.attr in ("shape", "size")):
        return None
    known = isinstance(value.value, ast.Name) and value.value.id in aliases
    plain = isinstance(target, ast.Tuple) and not any(
        isinstance(e, ast.Starred) for e in target.elts
    )
    return len(target.elts) if known and plain and isinstance(target, ast.Tuple) else None
