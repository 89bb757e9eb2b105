"""The form of an operation's record, and how a call is bound to one.

A record (`Op`) holds the names an operation answers to, torch's own parameter list and
the text to write. The parameter list is a string of ``name[:kind][=default]`` items;
``*`` begins the keyword-only ones and ``*name`` takes all remaining positional arguments.

kinds: ``axes`` (a list becomes a tuple) · ``shape`` (varargs or one sequence) · ``operands``
(tensors, one by one or in one list) · ``ignore`` (dropped: devices, memory formats) ·
``refuse`` (only its default is accepted) · ``flag`` (dropped when it is its default, else
refused, unless `to` uses it).

The text is a template: ``{x}`` an argument, ``{x.}`` the same as an operand (in
parentheses where needed), ``{x|d}`` with a default, ``{x?, axis=%}`` text only where the
argument was given, with ``%`` for it. Bare names of the prelude in it are found by parsing.

An overload has ``when``: ``dim`` given, ``!dim`` absent, ``other:tensor`` the fact's kind,
``other:!tensor``, ``mode='none'`` a literal, ``input:integer`` a tensor of integers, ``dtype:complex`` a dtype of complex numbers; several are joined by commas,
and the first record that fits is taken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_PARAMETER = re.compile(r"(\*?)(\w+)(?::(\w+))?(?:=(.*))?$")
_FIELD = re.compile(r"\{(\w+)(\.?)(?:\|([^{}?]*))?(?:\?([^{}]*))?\}")
_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a torch function."""

    name: str
    kind: str = ""
    default: str | None = None
    keyword_only: bool = False
    variadic: bool = False


@dataclass(frozen=True)
class Op:
    """One operation; see the module's text."""

    names: str
    params: str
    to: str
    when: str = ""
    result: str = "tensor"
    random: bool = False

    def parameters(self) -> list[Parameter]:
        """The parsed parameter list."""
        found: list[Parameter] = []
        keyword_only = False
        for item in self.params.split():
            if item == "*":
                keyword_only = True
                continue
            match = _PARAMETER.match(item)
            assert match, item
            star, name, kind, default = match.groups()
            found.append(Parameter(name, kind or "", default, keyword_only, bool(star)))
            keyword_only = keyword_only or bool(star)
        return found

    def fixed(self) -> set[str]:
        """Parameters whose value `when` demands, so that the text need not name them."""
        return {c.split("=", 1)[0] for c in self.when.split(",") if "=" in c}

    def answers_to(self) -> list[str]:
        """Full dotted names; ``F.`` and ``Tensor.`` are the usual short forms."""
        return [
            n.replace("F.", "torch.nn.functional.", 1) if n.startswith("F.") else n
            for n in self.names.split()
        ]


class BindError(Exception):
    """A call does not fit a record's parameter list."""


@dataclass
class Bound:
    """Arguments of one call by torch's parameter names."""

    values: dict[str, ast.expr] = field(default_factory=dict)
    rest: list[ast.expr] = field(default_factory=list)

    def given(self, name: str) -> bool:
        """Whether the call passes this parameter (variadic ones: anything)."""
        return name in self.values


def bind(op: Op, receiver: ast.expr | None, call: ast.Call) -> Bound:
    """Sort a call's arguments as Python would. Raises BindError where they don't fit."""
    params = op.parameters()
    by_name = {p.name: p for p in params}
    bound = Bound()
    positional = ([receiver] if receiver is not None else []) + list(call.args)
    open_params = [p for p in params if not p.keyword_only or p.variadic]
    for index, value in enumerate(positional):
        if index < len(open_params) and open_params[index].variadic:
            bound.rest = positional[index:]
            bound.values[open_params[index].name] = positional[index]
            break
        if index >= len(open_params):
            raise BindError("too many positional arguments")
        if isinstance(value, ast.Starred):
            raise BindError("a starred argument")
        bound.values[open_params[index].name] = value
    for keyword in call.keywords:
        if keyword.arg is None:
            raise BindError("a ** argument")
        if keyword.arg == "out":
            continue  # where the result goes is the statement's affair
        name = keyword.arg if keyword.arg in by_name else _ALIASES.get(keyword.arg, keyword.arg)
        if name not in by_name or name in bound.values:
            raise BindError(f"the argument {keyword.arg!r}")
        bound.values[name] = keyword.value
        if by_name[name].variadic:
            bound.rest = [keyword.value]
    for param in params:
        if param.default is None and not param.variadic and param.name not in bound.values:
            raise BindError(f"no argument {param.name!r}")
    return bound


def expand(
    template: str, render: Callable[[str, bool], str | None], defaults: Mapping[str, str]
) -> str:
    """Fill a template; `render(name, as_operand)` is None for an argument not given."""

    def one(match: re.Match[str]) -> str:
        name, dot, default, optional = match.groups()
        text = render(name, bool(dot))
        if optional is not None:
            return "" if text is None else optional.replace("%", text)
        if text is not None:
            return text
        return default if default is not None else defaults[name]

    return _FIELD.sub(one, template)


def fields(template: str) -> set[str]:
    """Parameters a template uses."""
    return {match.group(1) for match in _FIELD.finditer(template)}


def is_atom(text: str) -> bool:
    """Whether text can stand as an operand or a receiver without parentheses."""
    try:
        node = ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError:
        return False
    atoms = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Dict, ast.ListComp)
    if isinstance(node, ast.Tuple):
        return text.lstrip().startswith("(") and text.rstrip().endswith(")")
    constant = isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, complex))
    return isinstance(node, atoms) or constant or _parenthesised(text)


def _parenthesised(text: str) -> bool:
    text = text.strip()
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return index == len(text) - 1
    return False


def operand(text: str) -> str:
    """The text, in parentheses unless it is an atom or a plain number."""
    return text if is_atom(text) or text.replace(".", "", 1).isdigit() else f"({text})"
