"""Branches on a tensor's value that become `jax.lax.cond`.

Other inputs may take the other side, so the port computes the branch at run time. That is possible where both
sides are pure and of one type: one assignment of the same name, one return, or the two values of a conditional
expression; tensors of one dtype and rank; no draw, no write, no call of a module that may change state. A side
that the facts do not know is ported from its form, which is an assumption until a case of the contract takes it.
"""

from __future__ import annotations

import ast

from ferry.translate.translator import FileTranslator

# layers of torch.nn that draw, keep state or call others; the rest only compute
_NOT_PURE = (
    "BatchNorm", "SyncBatchNorm", "InstanceNorm", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "RReLU",
    "MultiheadAttention", "Transformer", "RNN", "LSTM", "GRU", "Lazy", "Sequential", "Module", "Parameter",
)  # fmt: skip
Sides = tuple[str, ast.expr, ast.expr]


def of_statement(tr: FileTranslator, node: ast.If) -> str | None:
    """``if test: y = a`` with ``else: y = b``, or without; the same with ``return``."""
    sides = _sides(node)
    if sides is None or tr.source.segment(node).startswith("elif"):
        return None
    start, yes, no = sides
    text = of_values(tr, node.test, yes, no)
    return None if text is None else f"{start}{text}"


def of_values(tr: FileTranslator, test: ast.expr, yes: ast.expr, no: ast.expr) -> str | None:
    """One of two values; None where this is no branch on a tensor, or not one that can be computed."""
    fact = tr.facts.of(test) or {}
    if fact.get("kind") != "tensor" or fact.get("ndim") != 0 or not _are_alike(tr, yes, no):
        return None
    if not (_is_pure(tr, yes) and _is_pure(tr, no)):
        return None
    for side in (yes, no):
        if tr.facts.of(side) is None and not isinstance(side, ast.Name):
            tr.assume("side_unseen", f"never ran before the contract: {ast.unparse(side)}", side)
    arms = f"lambda: {tr.render(yes)}, lambda: {tr.render(no)}"
    return f"jax.lax.cond({tr.render(test)}, {arms})"


def _sides(node: ast.If) -> Sides | None:
    """What both sides bind or return: the text in front, and the two values."""
    match node.body, node.orelse:
        case [ast.Return(ast.expr() as yes)], [ast.Return(ast.expr() as no)]:
            return "return ", yes, no
        case [ast.Assign([ast.Name() as name], yes)], [ast.Assign([ast.Name(other)], no)]:
            return (f"{name.id} = ", yes, no) if other == name.id else None
        case [ast.Assign([ast.Name() as name], yes)], []:
            return f"{name.id} = ", yes, name
    return None


def _are_alike(tr: FileTranslator, yes: ast.expr, no: ast.expr) -> bool:
    """Whether both sides are tensors, and of one dtype and rank as far as they were seen."""
    if not (_is_tensor(tr, yes) and _is_tensor(tr, no)):
        return False
    known = [fact for fact in (tr.facts.of(yes), tr.facts.of(no)) if fact is not None]
    types = {(fact.get("dtype"), fact.get("ndim")) for fact in known}
    return len(types) == 1 and None not in next(iter(types))


def _is_tensor(tr: FileTranslator, value: ast.expr) -> bool:
    """Whether a value is a tensor; an unseen call of a layer that only computes gives one."""
    called = isinstance(value, ast.Call) and tr.facts.of(value) is None
    return tr.is_tensor(value) or (called and _layer(tr, value.func) is not None)  # type: ignore[attr-defined]


def _is_pure(tr: FileTranslator, value: ast.expr) -> bool:
    return all(_is_pure_call(tr, n) for n in ast.walk(value) if isinstance(n, ast.Call))


def _is_pure_call(tr: FileTranslator, node: ast.Call) -> bool:
    func = node.func
    named = ast.unparse(func)
    if tr.project.draws(tr.unit, node) or named.endswith("_") or _has_out(node):
        return False
    if tr.names.torch(func) is not None:
        return True
    if isinstance(func, ast.Attribute) and tr.is_tensor(func.value):
        return True
    layer = _layer(tr, func)
    return layer is not None and not layer.startswith(_NOT_PURE)


def _layer(tr: FileTranslator, func: ast.expr) -> str | None:
    """The name of the torch layer that is called, from the run or else from the constructor."""
    fact = tr.facts.of(func)
    if fact is not None:
        package, _, name = str(fact.get("cls") or "").rpartition(".")
        return name if package.startswith("torch.nn.modules.") else None
    owner = tr.module_class(func)
    constructor = tr.project.method(owner, "__init__") if owner is not None else None
    for node in ast.walk(constructor) if constructor is not None else ():
        match node:
            case ast.Assign([target], ast.Call(made)) if ast.unparse(target) == ast.unparse(func):
                return (tr.names.torch(made) or "").removeprefix("torch.nn.") or None
    return None


def _has_out(node: ast.Call) -> bool:
    return any(keyword.arg == "out" for keyword in node.keywords)
