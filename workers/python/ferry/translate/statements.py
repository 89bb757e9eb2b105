"""Statements: assignments, calls for their effect, the start of a constructor."""

from __future__ import annotations

import ast

from ferry.translate import inplace
from ferry.translate.alias import exclusive
from ferry.translate.operations import is_device
from ferry.translate.translator import REMOVED, FileTranslator, Refused


def initialises(tr: FileTranslator, node: ast.stmt) -> str | None:
    """The rule before all others: what only sets initial values goes."""
    if tr.source.function_of(node) is None or not tr.initial.statement(tr.unit, node):
        return None
    tr.notes.append(f"{tr.unit.path}:{node.lineno}: initial values are left out")
    return REMOVED


def assign(tr: FileTranslator, node: ast.Assign) -> str | None:
    """Assignments to elements, to variables of modules, of devices, and of training modes."""
    if _is_device_only(tr, node):
        return REMOVED
    if len(node.targets) != 1:
        _refuse_chained(tr, node)
        return None
    target = node.targets[0]
    if isinstance(target, ast.Subscript) and inplace.is_mask(tr, target.slice):
        return inplace.set_masked(tr, target, "", node.value, node)
    if isinstance(target, ast.Subscript) and tr.is_tensor(target.value):
        return inplace.set_item(tr, target, "set", tr.render(node.value), node)
    if isinstance(target, ast.Attribute) and target.attr in ("__defaults__", "__code__"):
        tr.refuse(
            node, "a function is changed; say so where it is made, as in namedtuple(defaults=)"
        )
    if isinstance(target, ast.Attribute) and target.attr == "data" and tr.is_tensor(target.value):
        return inplace.set_data(tr, target, tr.render(node.value), node)
    if _is_requires_grad(target) and tr.is_variable(target.value):  # type: ignore[attr-defined]
        return _requires_grad(tr, target, node.value)
    if isinstance(target, ast.Attribute) and tr.module_class(node) is not None:
        return assign_attribute(tr, node, target, node.value)
    if isinstance(target, (ast.Tuple, ast.List)):
        if any(isinstance(t, ast.Subscript) and tr.is_tensor(t.value) for t in target.elts):
            tr.refuse(node, "elements of a tensor among several targets; assign them one by one")
        replaced: dict[ast.AST, str] = {
            t: inplace.lvalue(tr, t) for t in target.elts if tr.is_variable(t)
        }
        if replaced:
            return f"{tr.keep(target, replaced)} = {tr.render(node.value)}"
    return None


def annotated(tr: FileTranslator, node: ast.AnnAssign) -> str | None:
    """``self.x: Tensor`` alone says nothing in the port; with a value it is an assignment."""
    if isinstance(node.target, ast.Attribute) and tr.module_class(node) is not None:
        if node.value is None:
            return REMOVED
        return assign_attribute(tr, node, node.target, node.value)
    if node.value is None and node.target and isinstance(node.target, ast.Name):
        owner = tr.source.parents.get(node)
        if owner in tr.project.module_classes and tr.names.torch(node.annotation):
            return REMOVED
    return None


def _refuse_chained(tr: FileTranslator, node: ast.Assign) -> None:
    for target in node.targets:
        written = isinstance(target, ast.Subscript) and tr.is_tensor(target.value)
        if written or tr.is_variable(target):
            raise Refused(
                node,
                "unsupported_construct",
                "several targets of which one is a tensor's element or a variable",
            )


def assign_attribute(
    tr: FileTranslator, node: ast.stmt, target: ast.Attribute, value: ast.expr
) -> str | None:
    """``self.x = value`` in a module class: a variable, a shared variable, or anything else."""
    if not tr.is_variable(target):
        _check_new_tensor(tr, node, target, value)
        if isinstance(value, (ast.List, ast.ListComp)) and _holds_modules(tr, target):
            return f"{tr.keep(target)} = nnx.List({tr.render(value)})"
        return _data_after_none(tr, target, value)
    if tr.is_variable(value) and tr.in_constructor(node):
        return f"{tr.keep(target)} = {tr.keep(value)}"  # one variable under two names
    if not tr.in_constructor(node):
        text = tr.render(value)
        place = inplace.lvalue(tr, target)
        if text == place:
            return REMOVED
        return (
            f"{place} = {text}"
            if _keeps_shape(tr, target, value)
            else f"{tr.keep(target)}.set_value({text})"
        )
    made = _makes_variable(tr, value)
    if made is False and "tensor" in tr.project.tensor_kinds[target.attr] | tr.kinds(value):
        return f"{tr.keep(target)} = {buffer(tr, value)}"
    return _data_after_none(tr, target, value)


def _holds_modules(tr: FileTranslator, target: ast.Attribute) -> bool:
    """Whether an attribute was seen as a list of modules, which nnx must know of."""
    return any(
        isinstance(n, ast.Attribute)
        and n.attr == target.attr
        and any(item["kind"] == "module" for item in (tr.facts.of(n) or {}).get("items") or [])
        for n in ast.walk(tr.source.tree)
    )


def _keeps_shape(tr: FileTranslator, target: ast.Attribute, value: ast.expr) -> bool:
    """Whether a value has the shape of the variable that it is written to, as far as seen."""
    shapes = (tr.facts.of(value) or {}).get("shapes") or []
    known = [t["shape"] for t in tr.project.tensors if t["name"].rsplit(".", 1)[-1] == target.attr]
    return len(shapes) <= 1 and all(shape in known for shape in shapes)


def _makes_variable(tr: FileTranslator, value: ast.expr) -> bool | None:
    """True for ``nn.Parameter(...)``, None for None and conditionals that hold it, else False."""
    if isinstance(value, ast.IfExp):
        arms = {_makes_variable(tr, value.body), _makes_variable(tr, value.orelse)}
        return False not in arms
    if isinstance(value, ast.Constant):
        return None
    dotted = tr.names.torch(value.func) if isinstance(value, ast.Call) else None
    return bool(dotted and dotted.endswith(".Parameter"))


def buffer(tr: FileTranslator, value: ast.expr) -> str:
    """A tensor that belongs to a module and is not trained; None stays None."""
    kinds = tr.kinds(value)
    text = tr.render(value)
    if kinds == {"none"}:
        return text if isinstance(value, (ast.Name, ast.Constant)) else "None"
    if kinds == {"tensor"} and not _may_be_none(tr, value):
        return f"{tr.use('Buffer')}({text})"
    if isinstance(value, ast.Name):
        return f"{tr.use('Buffer')}({text}) if {text} is not None else None"
    raise Refused(value, "unsupported_construct", "not known whether this buffer is a tensor")


def _may_be_none(tr: FileTranslator, value: ast.expr) -> bool:
    """Whether a name is also bound to None in its function."""
    function = tr.source.function_of(value)
    if not isinstance(value, ast.Name) or function is None:
        return False
    return any(
        isinstance(n, ast.Assign)
        and isinstance(n.value, ast.Constant)
        and n.value.value is None
        and any(isinstance(t, ast.Name) and t.id == value.id for t in n.targets)
        for n in ast.walk(function)
    )


def _check_new_tensor(
    tr: FileTranslator, node: ast.stmt, target: ast.Attribute, value: ast.expr
) -> None:
    if tr.is_tensor(value) and not tr.in_constructor(node):
        raise Refused(
            node,
            "unsupported_construct",
            f"the tensor attribute {target.attr} first appears in forward",
        )


def _data_after_none(tr: FileTranslator, target: ast.Attribute, value: ast.expr) -> str | None:
    """An attribute that was None before needs ``nnx.data`` to hold a module or a variable."""
    function = tr.source.function_of(target)
    if function is None or isinstance(value, ast.Constant):
        return None
    if not tr.kinds(value) & {"module", "tensor"}:
        return None
    start = tr.source.span(target)[0]
    text = ast.unparse(target)
    for node in ast.walk(function):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        first = node.targets[0] if isinstance(node, ast.Assign) else node.target
        is_none = isinstance(node.value, ast.Constant) and node.value.value is None
        if not is_none or ast.unparse(first) != text:
            continue
        statement = tr.source.statement_of(target)
        if tr.source.span(node)[0] < start and not exclusive(tr, node, statement):
            return f"{tr.keep(target)} = nnx.data({tr.render(value)})"
    return None


def _requires_grad(tr: FileTranslator, target: ast.expr, value: ast.expr) -> str:
    """``m.weight.requires_grad = False``: the parameter becomes a buffer."""
    assert isinstance(target, ast.Attribute)
    if not isinstance(value, ast.Constant):
        tr.refuse(target, "requires_grad is not a constant")
    elif value.value:
        return REMOVED
    owner = tr.keep(target.value)
    return f"{owner} = {tr.use('Buffer')}({owner}[...])"


def frozen_loop(tr: FileTranslator, node: ast.For) -> str | None:
    """``for p in m.parameters(): p.requires_grad = False`` as ``freeze(m)``."""
    frozen = [_frozen(statement) for statement in node.body]
    if not any(frozen):
        return None
    names = [name for name in frozen if name is not None]
    others = [s for s, name in zip(node.body, frozen, strict=True) if name is None]
    modules = [_iterated(node, name) for name in names]
    if not all(modules) or not all(tr.initial.statement(tr.unit, s) for s in others):
        return None
    lines = [f"{tr.use('freeze')}({tr.render(m)})" for m in modules if m is not None]
    return f"\n{tr.source.indent(node)}".join(lines)


def _frozen(node: ast.stmt) -> str | None:
    """The name whose gradient a statement switches off."""
    if isinstance(node, ast.Assign) and _is_requires_grad(node.targets[0]):
        off = isinstance(node.value, ast.Constant) and node.value.value is False
        owner = node.targets[0].value  # type: ignore[attr-defined]
        return owner.id if off and isinstance(owner, ast.Name) else None
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    owner = call.func.value
    if call.func.attr != "requires_grad_" or not isinstance(owner, ast.Name):
        return None
    return owner.id if _is_off(call) else None


def _is_requires_grad(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "requires_grad"


def _is_off(call: ast.Call) -> bool:
    """Whether a call of ``requires_grad_`` says False."""
    values = [*call.args, *(k.value for k in call.keywords)]
    return len(values) == 1 and isinstance(values[0], ast.Constant) and values[0].value is False


def _iterated(node: ast.For, name: str) -> ast.expr | None:
    """The module whose parameters a loop variable runs over."""
    targets: list[ast.expr] = [node.target]
    sources: list[ast.expr] = [node.iter]
    if isinstance(node.target, ast.Tuple):
        call = node.iter
        targets = node.target.elts
        sources = []
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            sources = call.args if call.func.id == "zip" else []
        elif isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            sources = [call, call] if call.func.attr == "named_parameters" else []
    for target, source in zip(targets, sources, strict=False):
        if isinstance(target, ast.Name) and target.id == name and isinstance(source, ast.Call):
            func = source.func
            if isinstance(func, ast.Attribute) and func.attr.endswith("parameters"):
                return func.value
    return None


def _is_device_only(tr: FileTranslator, node: ast.Assign) -> bool:
    """``device = x.device`` where the name is only used to place tensors."""
    target = node.targets[0]
    if not isinstance(target, ast.Name) or not is_device(tr, node.value):
        return False
    reads = [
        n
        for n in ast.walk(tr.source.function_of(node) or tr.source.tree)
        if isinstance(n, ast.Name) and n.id == target.id and isinstance(n.ctx, ast.Load)
    ]
    return all(_places(tr, n) for n in reads)


def _places(tr: FileTranslator, node: ast.Name) -> bool:
    """Whether a read of a device is an argument that the port drops."""
    parent = tr.source.parents[node]
    call = tr.source.parents[parent] if isinstance(parent, ast.keyword) else parent
    if not isinstance(call, ast.Call):
        return False
    to = isinstance(call.func, ast.Attribute) and call.func.attr == "to"
    keyword = isinstance(parent, ast.keyword) and parent.arg == "device"
    return to or (keyword and tr.names.torch(call.func) is not None)


def expression(tr: FileTranslator, node: ast.Expr) -> str | None:
    """Calls for their effect: buffers, parameters, switches."""
    call = node.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    func = call.func
    if "module" in tr.kinds(func.value):
        if func.attr in ("register_buffer", "register_parameter"):
            return register(tr, call, func)
        if func.attr == "requires_grad_" and _is_off(call):
            return f"{tr.use('freeze')}({tr.render(func.value)})"
        if func.attr in ("requires_grad_", "float", "to", "cuda"):
            return REMOVED
    if _is_init_of_base(tr, node):
        return constructor_start(tr, node, call)
    return None


def register(tr: FileTranslator, call: ast.Call, func: ast.Attribute) -> str:
    """``register_buffer`` and ``register_parameter`` as plain assignments."""
    values = list(call.args) + [k.value for k in call.keywords if k.arg in ("tensor", "param")]
    named = {k.arg: k.value for k in call.keywords}
    name = named.get("name") or values[0]
    value = (
        values[-1] if len(values) > 1 and "name" not in named else named.get("tensor", values[-1])
    )
    if len(call.args) > 2:
        value = call.args[1]
    owner = tr.render(func.value)
    made = isinstance(value, ast.Constant) or func.attr == "register_parameter"
    text = tr.render(value) if made else buffer(tr, value)
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isidentifier():
        return f"{owner}.{name.value} = {text}"
    return f"setattr({owner}, {tr.render(name)}, {text})"


def _is_init_of_base(tr: FileTranslator, node: ast.Expr) -> bool:
    call = node.value
    assert isinstance(call, ast.Call)
    func = call.func
    if (
        not isinstance(func, ast.Attribute)
        or func.attr != "__init__"
        or not tr.in_constructor(node)
    ):
        return False
    value = func.value
    is_super = (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "super"
    )
    return is_super or tr.names.torch(value) == "torch.nn.Module"


def constructor_start(tr: FileTranslator, node: ast.Expr, call: ast.Call) -> str:
    """The place of ``super().__init__()``: flags that the class reads are set here."""
    owner = tr.module_class(node)
    assert owner is not None
    lines = start_lines(tr, owner)
    plain = all(tr.names.torch(b) == "torch.nn.Module" for b in owner.bases)
    if not plain:
        lines.insert(0, tr.keep(node))
    indent = tr.source.indent(node)
    return f"\n{indent}".join(lines) if lines else REMOVED


def start_lines(tr: FileTranslator, owner: ast.ClassDef) -> list[str]:
    """Attributes that a class's own code reads beside those of the source."""
    lines: list[str] = []
    body = [n for f in owner.body for n in ast.walk(f)]
    if any(
        isinstance(n, ast.Attribute) and n.attr == "training" and tr.kinds(n.value) == {"module"}
        for n in body
    ):
        lines.append("self.deterministic = False")
    if tr.project.keeps_stream(owner) or any(_draws_by_self(tr, n) for n in body):
        lines.append("self.rngs = rngs")
    return lines


def _draws_by_self(tr: FileTranslator, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not needs_stream(tr, node):
        return False
    try:
        return tr.rngs(node).endswith(".rngs")
    except Refused:
        return False


def needs_stream(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a call uses the key stream."""
    return tr.project.draws(tr.unit, node) or tr.project.builds(tr.unit, node)
