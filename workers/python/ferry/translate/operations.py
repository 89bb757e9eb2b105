"""Operations of the table and functions of the prelude, written out for one call."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection

from ferry.translate.library import Definition
from ferry.translate.ops import BindError, Bound, Op, Parameter, bind, expand, fields, is_atom
from ferry.translate.rewriting import PLACEMENT, placement, rewrite
from ferry.translate.table import DTYPES, OPERATIONS
from ferry.translate.translator import FileTranslator, Refused

_HARMLESS = PLACEMENT - {"dtype", "generator"}
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


def prelude_function(tr: FileTranslator, dotted: str) -> str | None:
    """The prelude's function for a dotted torch name, where it has one."""
    namespace, _, name = dotted.rpartition(".")
    if namespace == "torch.linalg":
        name = name if name == "vector_norm" else f"linalg_{name}"
    elif namespace == "torch.nn.utils.parametrizations":
        name = f"parametrized_{name}"
    elif namespace == "torch.nn.utils.parametrize":
        name = name if name == "register_parametrization" else ""
    elif namespace == "torch.nn.utils":
        name = name if name in ("weight_norm", "spectral_norm") else ""
    elif namespace not in ("torch", "torch.nn.functional", "torch.special", "Tensor"):
        return None
    definition = tr.library.definitions.get(name)
    return name if definition is not None and not definition.is_class else None


# parameters of the prelude that may be variables, which are then written in place as in torch
_WRITTEN = frozenset(["running_mean", "running_var"])


def is_taken_as_variable(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether an argument, or an arm of a conditional that is one, is handed to a function of the
    prelude that writes it where it is a variable."""
    if node in tr.idioms.reads:
        return False
    child, parent = node, tr.source.parents.get(node)
    while isinstance(parent, ast.IfExp) and child is not parent.test:
        child, parent = parent, tr.source.parents.get(parent)
    call = tr.source.parents.get(parent) if isinstance(parent, ast.keyword) else parent
    dotted = tr.names.torch(call.func) if isinstance(call, ast.Call) else None
    name = prelude_function(tr, dotted) if dotted is not None else None
    if name is None or not isinstance(call, ast.Call):
        return False
    if isinstance(parent, ast.keyword):
        return parent.arg in _WRITTEN
    names = [*tr.library.definitions[name].parameters]
    at = next((i for i, a in enumerate(call.args) if a is child), len(names))
    return at < len(names) and names[at] in _WRITTEN


def prelude_call(tr: FileTranslator, node: ast.Call, name: str, receiver: ast.expr | None) -> str:
    """A function of the prelude: torch's own signature, so only the name changes."""
    definition = tr.library.definitions[name]
    for keyword in node.keywords:
        known = keyword.arg is None or keyword.arg in _HARMLESS | {*definition.parameters}
        if not known:
            raise Refused(node, "unsupported_argument", f"{keyword.arg}= is not supported")
    if receiver is None:
        check_supported(tr, node, definition)
    drop = {n for n in _HARMLESS if n not in definition.parameters}
    add = f"rngs={tr.rngs(node)}" if tr.project.draws(tr.unit, node) else ""
    first = tr.render(receiver) if receiver is not None else ""
    return rewrite(tr, node, tr.use(name), drop=drop, add=add, first=first)


# arguments that no definition of the prelude takes but at their defaults
_ONLY_DEFAULT = {
    "return_indices": (False,),
    "max_norm": (None,),
    "scale_grad_by_freq": (False,),
    "add_bias_kv": (False,),
    "add_zero_attn": (False,),
    "proj_size": (0,),
    "custom_encoder": (None,),
    "custom_decoder": (None,),
}


def check_supported(
    tr: FileTranslator, node: ast.Call, definition: Definition, dropped: Collection[str] = ()
) -> None:
    """Refuse arguments of a prelude definition that it only has for torch's signature.

    Keywords in `dropped` are not handed to it.
    """
    names = _parameters(definition.text) if definition.is_class else definition.parameters
    given = dict(zip(names, node.args, strict=False))
    given |= {k.arg: k.value for k in node.keywords if k.arg and k.arg not in dropped}
    for name, value in given.items():
        accepted = _ONLY_DEFAULT.get(name)
        if accepted is None or (isinstance(value, ast.Constant) and value.value in accepted):
            continue
        seen = (tr.facts.of(value) or {}).get("values") or []
        if tr.kinds(value) != {"none"} and seen != list(accepted):
            text = f"{name}={ast.unparse(value)} is not supported"
            raise Refused(node, "unsupported_argument", text)


@functools.cache
def _parameters(text: str) -> tuple[str, ...]:
    """The parameters of a class's constructor, without self, from its text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return tuple(a.arg for a in node.args.args[1:])
    return ()


def pure_method(tr: FileTranslator, node: ast.Call, receiver: ast.expr, name: str) -> str:
    """The method `name` of a tensor as a function of the receiver."""
    records = OPERATIONS.get(f"Tensor.{name}")
    if records:
        return operation(tr, node, records, receiver)
    known = prelude_function(tr, f"Tensor.{name}")
    if known is not None:
        return prelude_call(tr, node, known, receiver)
    raise Refused(node, "unknown_operation", f"Tensor.{name} is not known")


def operation(
    tr: FileTranslator, node: ast.Call, records: tuple[Op, ...], receiver: ast.expr | None
) -> str:
    """The first record that the call fits, written out."""
    node = _without_placement(tr, node)
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
    function = prelude_function(tr, name)
    if function is not None:
        return prelude_call(tr, node, function, receiver)
    raise Refused(
        node,
        "unsupported_argument",
        f"this form of {name} is not known{': ' + reason if reason else ''}",
    )


def _without_placement(tr: FileTranslator, node: ast.Call) -> ast.Call:
    """The call without a ``**dd`` that names a place, and a dtype of None."""

    def is_idle(keyword: ast.keyword) -> bool:
        given = placement(tr, keyword.value) if keyword.arg is None else None
        if given is None:
            return False
        dtype = given.get("dtype")
        return dtype is None or tr.kinds(dtype) == {"none"}

    kept = [k for k in node.keywords if not is_idle(k)]
    if len(kept) == len(node.keywords):
        return node
    plain = ast.copy_location(ast.Call(node.func, node.args, kept), node)
    tr.source.parents[plain] = tr.source.parents[node]
    return plain


def _holds(tr: FileTranslator, condition: str, bound: Bound) -> bool:
    """One condition of `Op.when` on a bound call."""
    if condition.startswith("!"):
        return not bound.given(condition[1:])
    if "=" in condition:
        name, value = condition.split("=", 1)
        node = bound.values.get(name)
        return isinstance(node, ast.Constant) and node.value == ast.literal_eval(value)
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
    if kind == "integer":
        return str((tr.facts.of(node) or {}).get("dtype")).startswith(("int", "uint", "bool"))
    if kind == "complex":
        return (tr.names.torch(node) or "").startswith(("torch.complex", "torch.cfloat"))
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
    used = fields(record.to) | record.fixed()
    for name, value in bound.values.items():
        _check_unused(node, params[name], value, used)

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
    if param.kind == "operands":
        return _operands(tr, parts)
    spread = (
        f".reshape({{{param.name}}})" in template or f".transpose({{{param.name}}})" in template
    )
    if len(parts) == 1 and not isinstance(parts[0], ast.Starred):
        if spread:
            return tr.render(parts[0])
        sequence = _is_sequence(tr, parts[0]) if param.variadic else True
        if sequence is None:
            return f"{tr.use('as_shape')}({tr.render(parts[0])})"
        text = _as_tuple(tr, parts[0])
        return text if sequence else f"({text},)"
    inner = ", ".join(tr.render(p) for p in parts)
    if spread:
        return inner
    return f"({inner},)" if len(parts) == 1 else f"({inner})"


def _operands(tr: FileTranslator, parts: list[ast.expr]) -> str:
    """Tensors given one by one or as one list."""
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, (ast.List, ast.Tuple)):
        parts = only.elts
    elif only is not None and tr.kinds(only) & {"list", "tuple"}:
        return f"*{tr.operand(only)}"
    return ", ".join(tr.render(p) for p in parts)


def _is_sequence(tr: FileTranslator, node: ast.expr) -> bool | None:
    """Whether an expression is a sequence of sizes rather than one; None if not known."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return True
    if isinstance(node, ast.Attribute) and node.attr == "shape":
        return True
    kinds = tr.kinds(node)
    if kinds:
        return bool(kinds & {"tuple", "list", "size"})
    return None if isinstance(node, (ast.Name, ast.Attribute)) else False
