"""Writing in place: ``x.add_(y)``, ``x += y`` and ``x[i] = v`` as assignments of new values.

`alias` decides whether that is the same.
"""

from __future__ import annotations

import ast

from ferry.translate.alias import assigned, check_alias
from ferry.translate.operations import pure_method
from ferry.translate.ops import operand
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
    rebound = ast.unparse(base_of(root)) if alone else assigned(tr, node)
    check_alias(tr, node, root, rebound)
    if alone:
        return write_back(tr, root, value, node)
    if is_function(tr.source.parents.get(node)):
        raise Refused(node, "unsupported_construct", "a write in place inside a lambda")
    return value


def into_out(tr: FileTranslator, node: ast.Call, value: str) -> str:
    """``torch.add(x, y, out=z)`` as a statement: z is bound to the new value."""
    target = next(k.value for k in node.keywords if k.arg == "out")
    if isinstance(target, ast.Constant):
        return value
    statement = tr.source.statement_of(node)
    alone = isinstance(statement, ast.Expr) and statement.value is node
    if not alone or not tr.is_tensor(target):
        raise Refused(node, "unsupported_argument", "out= where the result is used at once")
    check_alias(tr, node, target, ast.unparse(base_of(target)))
    dtypes = {(tr.facts.of(a) or {}).get("dtype") for a in (*node.args, target) if tr.is_tensor(a)}
    if len(dtypes) > 1:
        value = f"{operand(value)}.astype({tr.operand(target)}.dtype)"
    return write_back(tr, target, value, node)


def into_first(tr: FileTranslator, node: ast.Call, value: str) -> str:
    """``F.relu_(x)``: x is bound to the new value where the call stands alone."""
    statement = tr.source.statement_of(node)
    alone = isinstance(statement, ast.Expr) and statement.value is node
    target = node.args[0] if node.args else node
    check_alias(tr, node, target, ast.unparse(base_of(target)) if alone else assigned(tr, node))
    return write_back(tr, target, value, node) if alone else value


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
    value = pure_method(tr, node, receiver, name)
    if _changes_type(tr, node, receiver, name):
        return f"{operand(value)}.astype({tr.operand(receiver)}.dtype)"
    return value


# methods whose result is of truth values, which a tensor written in place stores in its own type
_TRUTHS = frozenset(
    [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
    ]
)


def _changes_type(tr: FileTranslator, node: ast.Call, receiver: ast.expr, name: str) -> bool:
    """Whether a method's result may be of another type than the tensor that it is written to."""
    own = (tr.facts.of(receiver) or {}).get("dtype")
    if name in _TRUTHS:
        return own != "bool"
    others = {(tr.facts.of(a) or {}).get("dtype") for a in node.args if tr.is_tensor(a)}
    floating = str(own).startswith(("float", "bfloat"))
    return floating and any(str(o).startswith(("float", "bfloat")) and o != own for o in others)


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
        parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        if any(tr.is_tensor(p) or isinstance(p, ast.List) for p in parts):
            raise Refused(node, "unsafe_alias", "a copy of the picked elements is written in place")
        return set_item(tr, target, "set", value, node)
    if isinstance(target, ast.Attribute) and target.attr == "data":
        return set_data(tr, target, value, node)
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


def set_data(tr: FileTranslator, target: ast.Attribute, value: str, node: ast.AST) -> str:
    """``x.data = value``: the gradient still goes to x as it was."""
    place = lvalue(tr, target)
    if not tr.in_constructor(node):
        value = f"{tr.use('with_data')}({tr.render(target.value)}, {value})"
    return f"{place} = {value}"


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
    start, end = tr.source.span(target.slice)
    index = tr.splice(start, end, [target.slice], {})
    return f"{lvalue(tr, owner)} = {tr.operand(owner)}.at[{index}].{method}({value})"


def is_mask(tr: FileTranslator, index: ast.expr) -> bool:
    """Whether an index is a boolean tensor."""
    fact = tr.facts.of(index)
    if fact is not None:
        return tr.is_tensor(index) and fact.get("dtype") == "bool"
    return isinstance(index, ast.Compare) and tr.is_tensor(index)


def set_masked(
    tr: FileTranslator, target: ast.Subscript, sign: str, written: ast.expr, node: ast.AST
) -> str:
    """``x[mask] = v``, or ``x[mask] += v`` with a `sign`, as ``where``."""
    owner, mask = target.value, target.slice
    check_alias(tr, node, owner, ast.unparse(owner))
    gap = _ndim(tr, owner) - _ndim(tr, mask)
    value = _for_all(tr, written, mask, owner, gap)
    if value is None:
        raise Refused(
            node, "data_dependent_shape", "as many values as the mask has true elements are written"
        )
    where = tr.operand(mask) + f"[...{', None' * gap}]" if gap else tr.render(mask)
    old = tr.render(owner)
    new = f"{tr.operand(owner)} {sign} {operand(value)}" if sign else value
    return f"{lvalue(tr, owner)} = jnp.where({where}, {new}, {old})"


def _ndim(tr: FileTranslator, node: ast.expr) -> int:
    return int((tr.facts.of(node) or {}).get("ndim") or 0)


def _for_all(
    tr: FileTranslator, node: ast.expr, mask: ast.expr, owner: ast.expr, gap: int
) -> str | None:
    """What is written under a mask, computed for every element; None where that is not the same.

    Parts picked by the same mask are taken whole, through sums and products only: these can't
    make a number where there was none, and so spoil no gradient.
    """
    if not tr.is_tensor(node) or _ndim(tr, node) == 0 or (gap and _ndim(tr, node) <= gap):
        return tr.render(node)
    if _is_one_row(tr, node, gap):
        return tr.render(node)
    if isinstance(node, ast.Subscript) and ast.unparse(node.slice) == ast.unparse(mask):
        shapes = [(tr.facts.of(n) or {}).get("shapes") for n in (node.value, owner)]
        return tr.render(node.value) if shapes[0] == shapes[1] else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _for_all(tr, node.operand, mask, owner, gap)
        return inner and f"-{operand(inner)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
        sides = [_for_all(tr, side, mask, owner, gap) for side in (node.left, node.right)]
        if None not in sides:
            return f" {_SIGNS[type(node.op)]} ".join(operand(s) for s in sides if s)
    return None


def _is_one_row(tr: FileTranslator, node: ast.expr, gap: int) -> bool:
    """Whether a variable, whose shape is fixed, holds one element for the axes of a mask."""
    shapes = (tr.facts.of(node) or {}).get("shapes") or []
    return (
        isinstance(node, ast.Attribute)
        and tr.is_variable(node)
        and len(shapes) == 1
        and len(shapes[0]) == gap + 1
        and shapes[0][0] == 1
    )


def augmented(tr: FileTranslator, node: ast.AugAssign) -> str | None:
    """``+=`` and its kin on tensors."""
    target = node.target
    if isinstance(target, ast.Subscript) and is_mask(tr, target.slice):
        sign = _SIGNS.get(type(node.op))
        if sign is None:
            raise Refused(node, "unsupported_construct", "this augmented assignment of elements")
        return set_masked(tr, target, sign, node.value, node)
    if isinstance(target, ast.Attribute) and target.attr == "data" and tr.is_tensor(target.value):
        sign = _SIGNS[type(node.op)]
        value = f"{tr.operand(target.value)} {sign} {tr.operand(node.value)}"
        return set_data(tr, target, value, node)
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
