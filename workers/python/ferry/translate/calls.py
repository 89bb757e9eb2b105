"""Calls: functions and layers of torch, methods of tensors and modules, the source's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from ferry.translate import inplace
from ferry.translate.names import FUNCTIONAL
from ferry.translate.ops import BindError, Bound, Op, Parameter, bind, expand, fields, is_atom
from ferry.translate.project import CONTAINERS
from ferry.translate.table import CLASSES, DTYPES, OPERATIONS
from ferry.translate.table.index import DATA_DEPENDENT
from ferry.translate.translator import FileTranslator, Refused

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
_HARMLESS = PLACEMENT - {"dtype", "generator", "out"}
_PRELUDE_CALL = re.compile(r"(?<![\w.])([a-z_]\w*)(?=\()")
_SAFE_PARENTS = (
    ast.Assign,
    ast.Return,
    ast.Call,
    ast.keyword,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Expr,
    ast.Tuple,
    ast.List,
)


def call(tr: FileTranslator, node: ast.Call) -> str | None:
    """The rule for calls."""
    dotted = tr.names.torch(node.func)
    if dotted is not None:
        return torch_call(tr, node, dotted)
    if isinstance(node.func, ast.Attribute):
        text = method_call(tr, node, node.func)
        if text is not None:
            return text
    if tr.names.resolve(node.func) == "copy.deepcopy" and tr.kinds(node) == {"module"}:
        return rewrite(tr, node, "nnx.clone")
    if isinstance(node.func, ast.Name) and node.func.id in ("int", "float", "bool"):
        _check_conversion(tr, node)
    if isinstance(node.func, ast.Name) and node.func.id == "hasattr" and len(node.args) == 2:
        return _has_attribute(tr, node)
    return source_call(tr, node)


def source_call(tr: FileTranslator, node: ast.Call) -> str | None:
    """A call of the source's own code: hands on the key stream where it is needed."""
    inplace.check_module_call(tr, node)
    if not tr.project.builds(tr.unit, node):
        return None
    if any(k.arg == "rngs" for k in node.keywords):
        return None
    return rewrite(tr, node, tr.render(node.func), add=f"rngs={tr.rngs(node)}")


def _has_attribute(tr: FileTranslator, node: ast.Call) -> str | None:
    """``hasattr(torch, "x")`` asks for a version of torch; the answer is the run's."""
    if tr.names.torch(node.args[0]) is None:
        return None
    values = (tr.facts.of(node) or {}).get("values") or []
    if len(values) != 1:
        raise Refused(
            node, "unsupported_construct", "not known whether this version of torch has the name"
        )
    return str(values[0])


def _check_conversion(tr: FileTranslator, node: ast.Call) -> None:
    if len(node.args) == 1 and tr.is_tensor(node.args[0]):
        raise Refused(node, "tensor_branch", "the value of a tensor becomes a Python number")


# --- torch's functions and layers ---


def torch_call(tr: FileTranslator, node: ast.Call, dotted: str) -> str:
    """A call of something of torch."""
    name = dotted.rsplit(".", 1)[-1]
    if dotted.startswith("torch.nn.") and not dotted.startswith(FUNCTIONAL) and name[:1].isupper():
        return layer_call(tr, node, dotted, name)
    if dotted in _HOST and reads_as_numbers(tr, node):
        return rewrite(
            tr,
            node,
            f"np.{name}",
            drop=PLACEMENT,
            add="dtype=np.float32" if name == "linspace" else "",
        )
    records = OPERATIONS.get(dotted)
    if records:
        return operation(tr, node, records, None)
    if name in DATA_DEPENDENT:
        raise Refused(
            node, "data_dependent_shape", f"the shape of {dotted}'s result depends on values"
        )
    definition = tr.library.definitions.get(name)
    if definition is not None and not definition.is_class:
        return prelude_call(tr, node, name, None)
    raise Refused(node, "unknown_operation", f"{dotted} is not known")


def layer_call(tr: FileTranslator, node: ast.Call, dotted: str, name: str) -> str:
    """The construction of a layer, a container or a parameter."""
    if name == "Parameter":
        return parameter(tr, node)
    if name in CONTAINERS:
        return rewrite(tr, node, CLASSES[dotted])
    definition = tr.library.definitions.get(name)
    if definition is None or not definition.is_class:
        raise Refused(node, "unsupported_layer", f"{dotted} is not known")
    add = f"rngs={tr.rngs(node)}" if tr.project.builds(tr.unit, node) else ""
    return rewrite(tr, node, tr.use(name), drop=PLACEMENT, add=add)


def parameter(tr: FileTranslator, node: ast.Call) -> str:
    """``nn.Parameter``; one that is not trained becomes a buffer."""
    bound = bind(Op("", "data=None requires_grad=True", ""), None, node)
    if "data" not in bound.values:
        raise Refused(node, "unsupported_construct", "a parameter without data")
    trained = bound.values.get("requires_grad")
    frozen = isinstance(trained, ast.Constant) and trained.value is False
    if trained is not None and not isinstance(trained, ast.Constant):
        raise Refused(node, "unsupported_construct", "requires_grad is not a constant")
    kind = tr.use("Buffer") if frozen else "nnx.Param"
    return f"{kind}({tr.render(bound.values['data'])})"


def prelude_call(tr: FileTranslator, node: ast.Call, name: str, receiver: ast.expr | None) -> str:
    """A function of the prelude: torch's own signature, so only the name changes."""
    definition = tr.library.definitions[name]
    for keyword in node.keywords:
        if keyword.arg in ("out", "generator"):
            raise Refused(node, "unsupported_argument", f"{keyword.arg}= is not supported")
    inplace.check_functional(tr, node)
    drop = {n for n in _HARMLESS if n not in definition.parameters}
    add = f"rngs={tr.rngs(node)}" if tr.project.draws(tr.unit, node) else ""
    first = tr.render(receiver) if receiver is not None else ""
    return rewrite(tr, node, tr.use(name), drop=drop, add=add, first=first)


# --- tensors that only carry Python numbers, as in schedules of a constructor ---

_HOST = frozenset({"torch.linspace", "torch.arange"})


def reads_as_numbers(tr: FileTranslator, node: ast.Call) -> bool:
    """Whether a range is made only to read its elements: ``[x.item() for x in range]``."""
    if any(tr.is_tensor(a) for a in node.args):
        return False
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr in ("tolist", "numpy")
    if not isinstance(parent, ast.comprehension) or not isinstance(parent.target, ast.Name):
        return False
    inside = [n for n in ast.walk(tr.source.parents[parent]) if isinstance(n, ast.Name)]
    uses = [n for n in inside if n.id == parent.target.id and isinstance(n.ctx, ast.Load)]
    return all(_is_item_of(tr, n) for n in uses)


def _is_item_of(tr: FileTranslator, node: ast.Name) -> bool:
    parent = tr.source.parents.get(node)
    return isinstance(parent, ast.Attribute) and parent.attr == "item"


def is_host_value(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression is such a range, or an element of one."""
    if isinstance(node, ast.Call):
        return tr.names.torch(node.func) in _HOST and reads_as_numbers(tr, node)
    if not isinstance(node, ast.Name):
        return False
    for scope in tr.source.ancestors(node):
        for part in getattr(scope, "generators", []):
            if isinstance(part.target, ast.Name) and part.target.id == node.id:
                return is_host_value(tr, part.iter)
    return False


# --- operations of the table ---


def operation(
    tr: FileTranslator, node: ast.Call, records: tuple[Op, ...], receiver: ast.expr | None
) -> str:
    """The first record that the call fits, written out."""
    reason = ""
    for record in records:
        try:
            bound = bind(record, receiver, node)
        except BindError as error:
            reason = reason or str(error)
            continue
        if not all(_holds(tr, c, bound) for c in record.when.split(",") if c):
            continue
        return write(tr, node, record, bound)
    name = records[0].answers_to()[0]
    function = name.rsplit(".", 1)[-1]
    if function in tr.library.definitions:
        return prelude_call(tr, node, function, receiver)
    raise Refused(
        node,
        "unsupported_argument",
        f"this form of {name} is not known{': ' + reason if reason else ''}",
    )


def _holds(tr: FileTranslator, condition: str, bound: Bound) -> bool:
    """One condition of `Op.when` on a bound call."""
    if condition.startswith("!"):
        return not bound.given(condition[1:])
    if "='" in condition:
        name, value = condition.split("=", 1)
        node = bound.values.get(name)
        return isinstance(node, ast.Constant) and node.value == value.strip("'")
    name, _, kind = condition.partition(":")
    node = bound.values.get(name)
    if node is None:
        return False
    if not kind:
        return not (isinstance(node, ast.Constant) and node.value is None)
    if kind == "tensor":
        return tr.is_tensor(node)
    if kind == "!tensor":
        return not tr.is_tensor(node)
    if kind == "sequence":
        return isinstance(node, (ast.List, ast.Tuple)) or bool(tr.kinds(node) & {"list", "tuple"})
    if kind == "int":
        return not (isinstance(node, ast.Constant) and node.value is None)
    if kind == "dtype":
        return is_dtype(tr, node)
    return is_device(tr, node)


def is_dtype(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression is a dtype."""
    dotted = tr.names.torch(node) or ""
    if dotted.removeprefix("torch.") in DTYPES or tr.kinds(node) == {"dtype"}:
        return True
    if isinstance(node, ast.Name) and node.id in ("float", "int", "bool"):
        return True
    return isinstance(node, ast.Attribute) and node.attr == "dtype"


def is_device(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an expression names a device."""
    if tr.kinds(node) & {"device"}:
        return True
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.split(":")[0] in ("cpu", "cuda", "mps", "meta")
    named = isinstance(node, ast.Attribute) and node.attr == "device"
    return named or (isinstance(node, ast.Name) and node.id in ("device", "dev"))


def write(tr: FileTranslator, node: ast.Call, record: Op, bound: Bound) -> str:
    """Expand a record's template with the arguments of a call."""
    params = {p.name: p for p in record.parameters()}
    used = fields(record.to)
    for name, value in bound.values.items():
        _check_unused(node, params[name], value, used)
    if "inplace" in bound.values:
        inplace.check_functional(tr, node)

    def one(name: str, as_operand: bool) -> str | None:
        if name == "rngs":
            stream = tr.rngs(node)
            return f"{stream}.params()" if tr.in_constructor(node) else f"{stream}.noise()"
        value = bound.values.get(name)
        if value is None or (
            isinstance(value, ast.Constant)
            and value.value is None
            and params[name].default == "None"
        ):
            return None
        if params[name].variadic or params[name].kind == "shape":
            return _shape(tr, params[name], bound, record.to)
        return _argument(tr, value, params[name].kind, as_operand)

    defaults = {n: p.default or "None" for n, p in params.items()}
    text = expand(record.to, one, defaults)
    text = _PRELUDE_CALL.sub(lambda m: _prelude_name(tr, record.to, m.group(1)), text)
    safe = isinstance(tr.source.parents.get(node), _SAFE_PARENTS)
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        safe = False
    return text if safe or is_atom(text) else f"({text})"


def _prelude_name(tr: FileTranslator, template: str, name: str) -> str:
    """The spelling of a prelude function that the template itself names."""
    if name in tr.library.definitions and re.search(rf"(?<![\w.]){name}\(", template):
        return tr.use(name)
    return name


def _check_unused(node: ast.Call, param: Parameter, value: ast.expr, used: set[str]) -> None:
    """An argument that the target has no place for must be one that changes nothing."""
    if param.name in used or param.kind in ("ignore", "inplace"):
        return
    literal = ast.unparse(value)
    if literal == param.default or literal == "None":
        return
    raise Refused(node, "unsupported_argument", f"{param.name}={literal} is not supported")


def _argument(tr: FileTranslator, value: ast.expr, kind: str, as_operand: bool) -> str:
    if kind == "axes":
        return _as_tuple(tr, value)
    return tr.operand(value) if as_operand else tr.render(value)


def _as_tuple(tr: FileTranslator, value: ast.expr) -> str:
    """A list of axes as a tuple, which is what jax takes."""
    if isinstance(value, ast.List):
        inner = ", ".join(tr.render(e) for e in value.elts)
        return f"({inner},)" if len(value.elts) == 1 else f"({inner})"
    text = tr.render(value)
    return f"tuple({text})" if "list" in tr.kinds(value) else text


def _shape(tr: FileTranslator, param: Parameter, bound: Bound, template: str) -> str:
    """Sizes given one by one or as one sequence; axes of ``permute`` are the same."""
    parts = bound.rest if param.variadic else [bound.values[param.name]]
    if param.kind == "raw":
        return ", ".join(tr.render(p) for p in parts)
    spread = (
        f".reshape({{{param.name}}})" in template or f".transpose({{{param.name}}})" in template
    )
    if len(parts) == 1 and not isinstance(parts[0], ast.Starred):
        one_number = param.variadic and not _is_sequence(tr, parts[0])
        text = _as_tuple(tr, parts[0]) if not spread else tr.render(parts[0])
        return f"({text},)" if one_number and not spread else text
    inner = ", ".join(tr.render(p) for p in parts)
    if spread:
        return inner
    return f"({inner},)" if len(parts) == 1 else f"({inner})"


def _is_sequence(tr: FileTranslator, node: ast.expr) -> bool:
    if isinstance(node, (ast.Tuple, ast.List)):
        return True
    if isinstance(node, ast.Attribute) and node.attr == "shape":
        return True
    kinds = tr.kinds(node)
    if kinds:
        return bool(kinds & {"tuple", "list", "size"})
    if isinstance(node, (ast.Name, ast.Attribute)):
        raise Refused(
            node,
            "unsupported_construct",
            "not known whether this is one size or a sequence of sizes",
        )
    return False


# --- methods ---


def method_call(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """A method of a tensor or a module; None leaves the call to other rules."""
    if func.attr == "forward":
        return forward_call(tr, node, func)
    if _is_super(func.value):
        return super_call(tr, node, func)
    if tr.is_tensor(func.value):
        return tensor_method(tr, node, func)
    if "tensor" in tr.kinds(func.value):
        raise Refused(
            node, "unsupported_construct", f"the receiver of .{func.attr} is not always a tensor"
        )
    if "module" in tr.kinds(func.value):
        return module_method(tr, node, func)
    unknown = not tr.kinds(func.value) and tr.names.resolve(func) is None
    if unknown and func.attr in _UNSUPPORTED and tr.project.callee(tr.unit, node) is None:
        raise Refused(
            node,
            "unsupported_construct",
            f".{func.attr}() of what may be a module is not supported",
        )
    if func.attr == "__init__" and tr.in_constructor(node):
        return base_init(tr, node, func)
    if unknown and f"Tensor.{func.attr}" in OPERATIONS and not hasattr(str, func.attr):
        return tensor_method(tr, node, func)
    return None


def forward_call(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str:
    """``m.forward(x)`` is ``m(x)``; through super it is ``super().__call__(x)``."""
    if _is_super(func.value):
        return rewrite(tr, node, f"{tr.render(func.value)}.__call__")
    if tr.project.target(tr.unit, func.value) is not None or tr.names.torch(func.value):
        return rewrite(tr, node, f"{tr.render(func.value)}.__call__")
    return rewrite(tr, node, tr.render(func.value))


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def super_call(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """``super().__init__(...)`` hands on the key stream where the base takes one."""
    owner = tr.module_class(node)
    if owner is None or func.attr != "__init__" or not _base_takes_rngs(tr, owner):
        return None
    return rewrite(tr, node, tr.render(func), drop=PLACEMENT, add=f"rngs={tr.rngs(node)}")


def base_init(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """``Base.__init__(self, ...)`` with the base's name."""
    target = tr.project.target(tr.unit, func.value)
    if target is None or target.node not in tr.project.module_classes:
        return None
    return rewrite(tr, node, tr.render(func), add=f"rngs={tr.rngs(node)}")


def _base_takes_rngs(tr: FileTranslator, owner: ast.ClassDef) -> bool:
    base = next(iter(list(tr.project.lineage(owner))[1:]), None)
    if base is not None and base in tr.project.module_classes:
        return tr.project.takes_rngs(base)
    layer = tr.project.torch_base(owner)
    return layer in tr.library.definitions and tr.library.takes_rngs(layer)


def tensor_method(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str:
    """A method of a tensor; one that ends in ``_`` writes in place."""
    name = func.attr
    if name in ("item", "tolist") and is_host_value(tr, func.value):
        return f"{tr.operand(func.value)}.{name}()"
    if name in ("item", "tolist", "numpy"):
        raise Refused(node, "tensor_branch", f".{name}() reads a tensor's value")
    if name in DATA_DEPENDENT:
        raise Refused(
            node, "data_dependent_shape", f"the shape of .{name}()'s result depends on values"
        )
    if name.endswith("_") and not name.endswith("__") and f"Tensor.{name}" not in OPERATIONS:
        return inplace.expression(tr, node, func)
    return pure_method(tr, node, func.value, name)


def pure_method(tr: FileTranslator, node: ast.Call, receiver: ast.expr, name: str) -> str:
    """The method `name` of a tensor as a function of the receiver."""
    records = OPERATIONS.get(f"Tensor.{name}")
    if records:
        return operation(tr, node, records, receiver)
    definition = tr.library.definitions.get(name)
    if definition is not None and not definition.is_class:
        return prelude_call(tr, node, name, receiver)
    raise Refused(node, "unknown_operation", f"Tensor.{name} is not known")


_MODULE_PLACE = frozenset(
    ["to", "cuda", "cpu", "float", "double", "half", "requires_grad_", "contiguous"]
)


def module_method(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """Methods that torch gives every module."""
    if func.attr in _MODULE_PLACE and not tr.project.callee(tr.unit, node):
        return tr.render(func.value)
    if func.attr in ("add_module", "register_module") and len(node.args) == 2:
        owner, name, module = tr.render(func.value), *map(tr.render, node.args)
        return f"setattr({owner}, {name}, {module})"
    if func.attr == "parameters" and not node.args and not tr.project.callee(tr.unit, node):
        leaves = f"jax.tree.leaves(nnx.state({tr.render(func.value)}, nnx.Param))"
        parent = tr.source.parents.get(node)
        consumed = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "next"
        return f"iter({leaves})" if consumed else leaves
    if func.attr in _UNSUPPORTED and not tr.project.callee(tr.unit, node):
        raise Refused(node, "unsupported_construct", f".{func.attr}() of a module is not supported")
    return None


_UNSUPPORTED = frozenset(
    [
        "apply",
        "parameters",
        "named_parameters",
        "buffers",
        "named_buffers",
        "state_dict",
        "load_state_dict",
        "modules",
        "named_modules",
        "children",
        "named_children",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_load_state_dict_pre_hook",
        "get_parameter",
        "get_submodule",
        "zero_grad",
        "compile",
    ]
)


# --- text ---


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
    kept = [a for a in arguments if not (isinstance(a, ast.keyword) and a.arg in drop)]
    if len(kept) < len(arguments):
        body = ", ".join(tr.render(a) for a in kept)
    else:
        body = source_body(tr, opened, closed, arguments)
    if first:
        body = f"{first}, {body}" if body.strip() else first
    if add:
        lone = len(kept) == 1 and isinstance(kept[0], ast.GeneratorExp)
        body = append_argument(f"({body})" if lone and not body.startswith("(") else body, add)
    return f"{func}({body})"


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
