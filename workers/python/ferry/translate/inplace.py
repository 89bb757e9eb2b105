"""Writing in place: ``x.add_(y)``, ``x += y`` and ``x[i] = v`` as assignments of new values.

`alias` decides whether that is the same.
"""

from __future__ import annotations

import ast

from ferry.translate.alias import assigned, check_alias
from ferry.translate.operations import pure_method
from ferry.translate.source import is_function
from ferry.translate.translator import FileTranslator, Refused

AT_METHODS = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
_SIGNS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}


def base_of(node: ast.expr) -> ast.expr:
    """The name or attribute under subscripts and ``.data``."""
    while isinstance(node, ast.Subscript) or (
        isinstance(node, ast.Attribute) and node.attr == "data"
    ):
        node = node.value
    return node


def expression(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str:
    """An in-place method: the new value, bound to the tensor's name where it stands alone."""
    value = new_value(tr, node, func)
    if _is_link(tr, node):
        return value  # x.add_(1).mul_(2): the last link writes
    root = _root(node)
    statement = tr.source.statement_of(node)
    alone = isinstance(statement, ast.Expr) and statement.value is node
    check_alias(tr, node, root, ast.unparse(root) if alone else assigned(tr, node))
    if alone:
        return write_back(tr, root, value, node)
    if is_function(tr.source.parents.get(node)):
        raise Refused(node, "unsupported_construct", "a write in place inside a lambda")
    return value


def _writes(node: ast.AST | None) -> bool:
    """Whether a node is a call of an in-place method."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.endswith("_")
    )


def _is_link(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a call's result is at once written again by another in-place method."""
    method = tr.source.parents.get(node)
    outer = tr.source.parents.get(method) if isinstance(method, ast.Attribute) else None
    return isinstance(outer, ast.Call) and outer.func is method and _writes(outer)


def _root(node: ast.expr) -> ast.expr:
    """The tensor at the head of a chain of in-place methods."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _writes(node):
        node = node.func.value
    return node


def new_value(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str:
    """What an in-place method leaves in its tensor."""
    name, receiver = func.attr.removesuffix("_"), func.value
    if name == "zero":
        return f"jnp.zeros_like({tr.render(receiver)})"
    if name == "fill" and len(node.args) == 1:
        return f"jnp.full_like({tr.render(receiver)}, {tr.render(node.args[0])})"
    if name == "copy" and len(node.args) >= 1:
        target = tr.operand(receiver)
        return f"jnp.broadcast_to({tr.render(node.args[0])}, {target}.shape).astype({target}.dtype)"
    if name == "bernoulli" and len(node.args) == 1:
        shape, dtype = _shape_and_dtype(tr, receiver)
        keys = f"{tr.rngs(node)}.noise()"
        return f"jax.random.bernoulli({keys}, {tr.render(node.args[0])}, {shape}).astype({dtype})"
    if name in ("normal", "uniform"):
        return _drawn(tr, node, receiver, name)
    return pure_method(tr, node, receiver, name)


def _drawn(tr: FileTranslator, node: ast.Call, receiver: ast.expr, name: str) -> str:
    if node.args or node.keywords:
        raise Refused(node, "unsupported_argument", f"{name}_ with arguments is not supported")
    shape, dtype = _shape_and_dtype(tr, receiver)
    return f"jax.random.{name}({tr.rngs(node)}.noise(), {shape}, {dtype})"


def _shape_and_dtype(tr: FileTranslator, tensor: ast.expr) -> tuple[str, str]:
    """Texts for a tensor's shape and dtype; one made by ``x.new_empty(shape)`` is not made."""
    func = tensor.func if isinstance(tensor, ast.Call) else None
    if (
        isinstance(tensor, ast.Call)
        and isinstance(func, ast.Attribute)
        and func.attr in ("new_empty", "new_zeros")
        and len(tensor.args) == 1
        and not tensor.keywords
        and tr.is_tensor(func.value)
    ):
        return tr.render(tensor.args[0]), f"{tr.operand(func.value)}.dtype"
    text = tr.operand(tensor)
    return f"{text}.shape", f"{text}.dtype"


def write_back(tr: FileTranslator, target: ast.expr, value: str, node: ast.AST) -> str:
    """The statement that gives a written tensor its new value."""
    if isinstance(target, ast.Subscript) and tr.is_tensor(target.value):
        return set_item(tr, target, "set", value, node)
    if isinstance(target, (ast.Name, ast.Attribute)):
        return f"{lvalue(tr, target)} = {value}"
    if isinstance(target, ast.Subscript):
        return f"{tr.keep(target)} = {value}"
    raise Refused(node, "unsafe_alias", "a result that has no name is written in place")


def lvalue(tr: FileTranslator, target: ast.expr) -> str:
    """A target as text; a variable is written through ``[...]``."""
    if isinstance(target, ast.Attribute) and target.attr == "data":
        return lvalue(tr, target.value)
    text = tr.keep(target)
    return f"{text}[...]" if tr.is_variable(target) else text


def set_item(
    tr: FileTranslator, target: ast.Subscript, method: str, value: str, node: ast.AST
) -> str:
    """``x[i] = v`` and its kin as ``x = x.at[i].set(v)``."""
    owner = target.value
    if not isinstance(base_of(owner), (ast.Name, ast.Attribute)) or (
        isinstance(owner, ast.Subscript) and tr.is_tensor(owner.value)
    ):
        raise Refused(node, "unsafe_alias", "an element of a view is written in place")
    check_alias(tr, node, owner, ast.unparse(owner))
    mask = target.slice
    if tr.is_tensor(mask) and (tr.facts.of(mask) or {}).get("dtype") == "bool":
        return _masked(tr, owner, mask, method, value, node)
    start, end = tr.source.span(mask)
    index = tr.splice(start, end, [mask], {})
    return f"{lvalue(tr, owner)} = {tr.operand(owner)}.at[{index}].{method}({value})"


def _masked(
    tr: FileTranslator, owner: ast.expr, mask: ast.expr, method: str, value: str, node: ast.AST
) -> str:
    """A boolean mask as index: ``where`` over a mask of the same rank, for one value."""
    same_rank = (tr.facts.of(mask) or {}).get("ndim") == (tr.facts.of(owner) or {}).get("ndim")
    if method != "set" or not same_rank:
        raise Refused(
            node, "data_dependent_shape", "a boolean mask of another rank picks what is written"
        )
    statement = tr.source.statement_of(node)
    written = getattr(statement, "value", None)
    if (
        written is not None
        and tr.is_tensor(written)
        and (tr.facts.of(written) or {}).get("ndim") != 0
    ):
        raise Refused(
            node, "data_dependent_shape", "as many values as the mask has true elements are written"
        )
    return f"{lvalue(tr, owner)} = jnp.where({tr.render(mask)}, {value}, {tr.render(owner)})"


def augmented(tr: FileTranslator, node: ast.AugAssign) -> str | None:
    """``+=`` and its kin on tensors."""
    target = node.target
    if isinstance(target, ast.Subscript) and tr.is_tensor(target.value):
        value = tr.render(node.value)
        method = AT_METHODS.get(type(node.op))
        if method is None:
            sign = _SIGNS.get(type(node.op))
            if sign is None:
                raise Refused(
                    node, "unsupported_construct", "this augmented assignment of elements"
                )
            old = f"{tr.operand(target.value)}[{tr.render(target.slice)}]"
            return set_item(tr, target, "set", f"{old} {sign} {tr.operand(node.value)}", node)
        return set_item(tr, target, method, value, node)
    if not tr.is_tensor(target) and not tr.is_tensor(node.value):
        return None
    check_alias(tr, node, target, ast.unparse(target))
    if isinstance(target, ast.Attribute) and lvalue(tr, target).endswith("[...]"):
        return tr.keep(node, {target: lvalue(tr, target)})
    return None
