"""Names, attributes and subscripts that are read."""

from __future__ import annotations

import ast

from ferry.translate import both_sides
from ferry.translate.names import FUNCTIONAL
from ferry.translate.operations import is_taken_as_variable
from ferry.translate.table import ATTRIBUTES, CLASSES, CONSTANTS, DTYPES, OPERATIONS
from ferry.translate.translator import FileTranslator, Refused


def name(tr: FileTranslator, node: ast.Name) -> str | None:
    """A name imported from torch, used as a value."""
    if not isinstance(node.ctx, ast.Load):
        return None
    dotted = tr.names.torch(node)
    return torch_value(tr, node, dotted) if dotted else None


# what torch's dtypes say of themselves
_DTYPE_FAMILIES = {
    "is_floating_point": "jnp.floating",
    "is_complex": "jnp.complexfloating",
}


def attribute(tr: FileTranslator, node: ast.Attribute) -> str | None:
    """An attribute: a torch name, the training flag, a tensor's property, a variable's value."""
    dotted = tr.names.torch(node)
    if dotted is not None:
        return torch_value(tr, node, dotted)
    if node.attr == "forward" and _is_own_class(tr, node.value):
        return f"{tr.render(node.value)}.__call__"
    if not isinstance(node.ctx, ast.Load):
        return None
    if node.attr == "training" and tr.kinds(node.value) == {"module"}:
        return _training(tr, node)
    if node.attr == "forward" and tr.kinds(node.value) == {"module"}:
        return f"{tr.render(node.value)}.__call__"
    if node.attr in _DTYPE_FAMILIES and tr.kinds(node.value) == {"dtype"}:
        return f"jnp.issubdtype({tr.render(node.value)}, {_DTYPE_FAMILIES[node.attr]})"
    if tr.is_tensor(node.value):
        return tensor_attribute(tr, node)
    if tr.is_variable(node) and tr.is_tensor(node):
        if is_taken_as_variable(tr, node):
            return tr.keep(node)
        return (
            f"{tr.use('array_of')}({tr.keep(node)})"
            if "none" in tr.kinds(node)
            else f"{tr.keep(node)}[...]"
        )
    return None


def _is_own_class(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression is a module's class: ``type(self)``, or what a class method is handed."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "type" and len(node.args) == 1:
        return tr.kinds(node.args[0]) == {"module"}
    function = tr.source.function_of(node)
    if not isinstance(node, ast.Name) or not isinstance(function, ast.FunctionDef):
        return False
    decorators = {ast.unparse(d) for d in function.decorator_list}
    takes_class = function.name == "__init_subclass__" or "classmethod" in decorators
    named = bool(function.args.args) and function.args.args[0].arg == node.id
    return takes_class and named and tr.project.method_owner(tr.unit, function) is not None


# containers of Flax whose attributes are their elements, so that a class needs another base
_DERIVED_FROM = {
    "torch.nn.ModuleList": "ModuleList",
    "torch.nn.ModuleDict": "ModuleDict",
}


def torch_value(tr: FileTranslator, node: ast.expr, dotted: str) -> str:
    """Something of torch that is not called: a dtype, a class, a function passed on."""
    short = dotted.removeprefix("torch.")
    if short in DTYPES:
        return DTYPES[short]
    if dotted in CONSTANTS:
        return CONSTANTS[dotted]
    if dotted in _DERIVED_FROM and isinstance(tr.source.parents.get(node), ast.ClassDef):
        return tr.use(_DERIVED_FROM[dotted])
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
        return tr.use(plain) if plain in tr.library.definitions else plain
    if definition is not None and not definition.is_class:
        return tr.use(last)
    if _is_annotation(tr, node):
        return "object"
    if _is_asked_for(tr, node):
        return "()"  # nothing in a port is of a class that only torch has
    code = "unsupported_layer" if is_layer else "unknown_operation"
    raise Refused(node, code, f"{dotted} is not known")


def _is_asked_for(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether a class is the second argument of ``isinstance``, alone or in a tuple."""
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Tuple):
        node, parent = parent, tr.source.parents.get(parent)
    asks = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "isinstance"
    return asks and parent.args[1:] == [node]  # type: ignore[union-attr]


def _is_annotation(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression only says of what type something is."""
    inner: ast.AST = node
    for outer in tr.source.ancestors(node):
        if inner in (getattr(outer, "annotation", None), getattr(outer, "returns", None)):
            return True
        if isinstance(outer, ast.stmt):
            return False
        inner = outer
    return False


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


def observed_side(tr: FileTranslator, test: ast.expr) -> bool | None:
    """The truth of a test on a tensor, where all runs agreed; the port then assumes it.

    None for a test without tensors. Raises Refused where the runs did not agree.
    """
    try:
        bool_test(tr, test)
        mark = len(tr.refusals)
        tr.render(test)
        assert len(tr.refusals) == mark
        return None
    except Refused as refused:
        seen = (tr.facts.of(test) or {}).get("values") or []
        agreed = len(seen) == 1 and isinstance(seen[0], bool)
        if refused.code != "tensor_branch" or not agreed or _has_threshold(tr, test):
            raise
        side = bool(seen[0])
        tr.assume("branch_specialised", f"always {side}: {ast.unparse(test)}", test)
        return side


def _has_threshold(tr: FileTranslator, test: ast.expr) -> bool:
    """Whether a test compares one floating number, which other inputs move to either side."""
    sides = [
        s for n in ast.walk(test) if isinstance(n, ast.Compare) for s in (n.left, *n.comparators)
    ]
    facts = [tr.facts.of(side) or {} for side in sides]
    return any(
        (f.get("ndim") == 0 and str(f.get("dtype")).startswith(("float", "bfloat")))
        or (f.get("kind") == "float" and tr.facts.of(sides[i]) and isinstance(sides[i], ast.Call))
        for i, f in enumerate(facts)
    )


def conditional(tr: FileTranslator, node: ast.IfExp) -> str | None:
    """The rule for ``a if test else b``."""
    try:
        side = observed_side(tr, node.test)
    except Refused:
        computed = both_sides.of_values(tr, node.test, node.body, node.orelse)
        if computed is None:
            raise
        return computed
    return None if side is None else tr.operand(node.body if side else node.orelse)
