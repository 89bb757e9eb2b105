"""Names, attributes and subscripts that are read."""

from __future__ import annotations

import ast

from ferry.translate.names import FUNCTIONAL
from ferry.translate.table import ATTRIBUTES, CLASSES, CONSTANTS, DTYPES, OPERATIONS
from ferry.translate.translator import FileTranslator, Refused


def name(tr: FileTranslator, node: ast.Name) -> str | None:
    """A name imported from torch, used as a value."""
    if not isinstance(node.ctx, ast.Load):
        return None
    dotted = tr.names.torch(node)
    return torch_value(tr, node, dotted) if dotted else None


def attribute(tr: FileTranslator, node: ast.Attribute) -> str | None:
    """An attribute: a torch name, the training flag, a tensor's property, a variable's value."""
    dotted = tr.names.torch(node)
    if dotted is not None:
        return torch_value(tr, node, dotted)
    if not isinstance(node.ctx, ast.Load):
        return None
    if node.attr == "training" and tr.kinds(node.value) == {"module"}:
        return _training(tr, node)
    if node.attr == "forward" and tr.kinds(node.value) == {"module"}:
        return f"{tr.render(node.value)}.__call__"
    if tr.is_tensor(node.value):
        return tensor_attribute(tr, node)
    if tr.is_variable(node) and tr.is_tensor(node):
        return (
            f"{tr.use('array_of')}({tr.keep(node)})"
            if "none" in tr.kinds(node)
            else f"{tr.keep(node)}[...]"
        )
    return None


def torch_value(tr: FileTranslator, node: ast.expr, dotted: str) -> str:
    """Something of torch that is not called: a dtype, a class, a function passed on."""
    short = dotted.removeprefix("torch.")
    if short in DTYPES:
        return DTYPES[short]
    if dotted in CONSTANTS:
        return CONSTANTS[dotted]
    if dotted in CLASSES:
        return CLASSES[dotted]
    if dotted == "torch.autograd.Function":
        return tr.use("Function")
    last = dotted.rsplit(".", 1)[-1]
    definition = tr.library.definitions.get(last)
    is_layer = dotted.startswith("torch.nn.") and not dotted.startswith(FUNCTIONAL)
    if definition is not None and definition.is_class and is_layer:
        return tr.use(last)
    plain = _plain_function(dotted)
    if plain:
        return plain
    if definition is not None and not definition.is_class:
        return tr.use(last)
    code = "unsupported_layer" if is_layer else "unknown_operation"
    raise Refused(node, code, f"{dotted} is not known")


def _plain_function(dotted: str) -> str | None:
    """A function that jax has under another name and with the same single argument."""
    for record in OPERATIONS.get(dotted, ()):
        head, _, tail = record.to.partition("(")
        if tail == "{input})":
            return head
        if tail == "{input}, approximate=False)":
            return "functools.partial(jax.nn.gelu, approximate=False)"
    return None


def _training(tr: FileTranslator, node: ast.Attribute) -> str:
    text = f"not {tr.render(node.value)}.deterministic"
    parent = tr.source.parents.get(node)
    loose = (ast.If, ast.Call, ast.keyword, ast.BoolOp, ast.Assign, ast.IfExp, ast.Return)
    return text if isinstance(parent, loose) else f"({text})"


def tensor_attribute(tr: FileTranslator, node: ast.Attribute) -> str | None:
    """A property of a tensor."""
    target = ATTRIBUTES.get(node.attr)
    if target is None:
        raise Refused(node, "unknown_operation", f"Tensor.{node.attr} is not known")
    if not target:
        return None
    if "{input}" in target:
        return target.replace("{input}", tr.render(node.value))
    return target


def subscript(tr: FileTranslator, node: ast.Subscript) -> str | None:
    """Indexing of a tensor: a list as index is an array, a boolean mask has no fixed size."""
    if not isinstance(node.ctx, ast.Load) or not tr.is_tensor(node.value):
        return None
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in parts:
        fact = tr.facts.of(part) or {}
        if tr.is_tensor(part) and fact.get("dtype") == "bool":
            raise Refused(
                node,
                "data_dependent_shape",
                "a boolean mask picks a number of elements that depends on values",
            )
    lists: dict[ast.AST, str] = {
        p: f"jnp.array({tr.keep(p)})"
        for p in parts
        if isinstance(p, ast.List) or tr.kinds(p) == {"list"}
    }
    if isinstance(node.slice, ast.Tuple) and lists:
        inner = ", ".join(lists.get(p) or tr.render(p) for p in parts)
        return f"{tr.operand(node.value)}[{inner}]"
    return tr.keep(node, lists) if lists else None


def compare(tr: FileTranslator, node: ast.Compare) -> str | None:
    """``is None`` asks about a variable itself, not about the array in it."""
    if not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        return None
    sides = [node.left, *node.comparators]
    raw: dict[ast.AST, str] = {s: tr.keep(s) for s in sides if tr.is_variable(s)}
    return tr.keep(node, raw) if raw else None


def bool_test(tr: FileTranslator, node: ast.expr) -> None:
    """Refuse a branch on a tensor's value."""
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            bool_test(tr, value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        bool_test(tr, node.operand)
    elif tr.is_tensor(node):
        raise Refused(node, "tensor_branch", "a branch depends on the value of a tensor")


def conditional(tr: FileTranslator, node: ast.IfExp) -> None:
    """The rule for ``a if test else b``."""
    bool_test(tr, node.test)
