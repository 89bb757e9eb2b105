"""Calls with another callee: arguments keep their text, their lines and their comments."""

from __future__ import annotations

import ast
from collections.abc import Collection

from ferry.translate.translator import FileTranslator

# arguments of torch that say where and how to store, not what to compute
PLACEMENT = frozenset(
    [
        "device",
        "dtype",
        "layout",
        "memory_format",
        "pin_memory",
        "requires_grad",
        "non_blocking",
        "generator",
        "out",
    ]
)


def rewrite(
    tr: FileTranslator,
    node: ast.Call,
    func: str,
    *,
    drop: Collection[str] = (),
    add: str = "",
    first: str = "",
) -> str:
    """A call with another callee: arguments keep their text and lines.

    Keywords in `drop` go, `first` becomes the first argument, `add` the last.
    """
    source = tr.source
    opened = source.text.index("(", _end(tr, node.func)) + 1
    closed = source.span(node)[1] - 1
    arguments: list[ast.AST] = sorted([*node.args, *node.keywords], key=source.span)
    if not isinstance(node.func, (ast.Name, ast.Attribute)):
        opened = _argument_start(tr, node)
    kept = [a for a in arguments if not (isinstance(a, ast.keyword) and _drops(tr, a, drop))]
    placed = {a: _unplaced(tr, a) for a in kept if "device" in drop and _may_place(tr, a)}
    if len(kept) < len(arguments) or placed:
        body = ", ".join(placed.get(a) or tr.render(a) for a in kept)
    else:
        body = source_body(tr, opened, closed, arguments)
    if first:
        body = f"{first}, {body}" if body.strip() else first
    if add:
        lone = len(kept) == 1 and isinstance(kept[0], ast.GeneratorExp)
        body = append_argument(f"({body})" if lone and not body.startswith("(") else body, add)
    return f"{func}({body})"


def _drops(tr: FileTranslator, keyword: ast.keyword, drop: Collection[str]) -> bool:
    """Whether an argument goes: by its name, or as a mapping of nothing but such names."""
    if keyword.arg is not None:
        return keyword.arg in drop
    given = placement(tr, keyword.value)
    return given is not None and given.keys() <= set(drop)


def _may_place(tr: FileTranslator, node: ast.AST) -> bool:
    """Whether ``**kwargs`` was seen to hold a place or a dtype beside other arguments."""
    if not isinstance(node, ast.keyword) or node.arg is not None:
        return False
    return not PLACEMENT.isdisjoint((tr.facts.of(node.value) or {}).get("keys") or ())


def _unplaced(tr: FileTranslator, node: ast.AST) -> str:
    assert isinstance(node, ast.keyword)
    return f"**{tr.use('without_placement')}({tr.render(node.value)})"


def placement(tr: FileTranslator, node: ast.expr) -> dict[str, ast.expr] | None:
    """The entries of ``dd`` in ``f(**dd)``, where ``dd = {"device": ..., "dtype": ...}`` stands in
    the function around and says only where and how to store; else None."""
    function = tr.source.function_of(node)
    if not isinstance(node, ast.Name) or function is None:
        return None
    stores = [
        n.value
        for n in ast.walk(function)
        if isinstance(n, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
    ]
    if len(stores) != 1:
        return None
    made = stores[0]
    if isinstance(made, ast.Dict):
        keys = [k.value if isinstance(k, ast.Constant) else None for k in made.keys]
        values = made.values
    elif isinstance(made, ast.Call) and ast.unparse(made.func) == "dict" and not made.args:
        keys, values = [k.arg for k in made.keywords], [k.value for k in made.keywords]
    else:
        return None
    entries = {str(k): v for k, v in zip(keys, values, strict=True)}
    return entries if entries.keys() <= PLACEMENT else None


def _end(tr: FileTranslator, node: ast.AST) -> int:
    return tr.source.span(node)[1]


def _argument_start(tr: FileTranslator, node: ast.Call) -> int:
    """Where the arguments begin behind a callee that may itself end in parentheses."""
    at = _end(tr, node.func)
    text = tr.source.text
    while text[at] != "(":
        at += 1
    return at + 1


def source_body(tr: FileTranslator, start: int, end: int, arguments: list[ast.AST]) -> str:
    """The text between the parentheses of a call, with its arguments rendered."""
    if len(arguments) == 1 and tr.source.span(arguments[0]) == (start - 1, end + 1):
        return tr.render(arguments[0])[1:-1]  # a generator that shares the call's parentheses
    return tr.splice(start, end, arguments, {})


def append_argument(body: str, argument: str) -> str:
    """Add a last argument in the style of the list: after its comma, on its own line."""
    code = body.rstrip()
    if not code.strip():
        return argument
    tail = body[len(code) :]
    last = code.rsplit("\n", 1)[-1]
    if "#" in last:
        return (
            f"{body}{argument}"
            if code.split("#")[-2].rstrip().endswith(",")
            else f"{body}, {argument}"
        )
    if code.endswith(",") and "\n" in tail:
        indent = last[: len(last) - len(last.lstrip())]
        return f"{code}\n{indent}{argument},{tail}"
    return f"{code} {argument}{tail}" if code.endswith(",") else f"{code}, {argument}{tail}"
