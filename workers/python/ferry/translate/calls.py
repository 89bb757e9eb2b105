"""Calls: functions and layers of torch, methods of tensors and modules, the source's own."""

from __future__ import annotations

import ast

from ferry.translate import alias, inplace, statements
from ferry.translate.attributes import torch_value
from ferry.translate.host import RANGES, is_host_value, reads_as_numbers
from ferry.translate.names import FUNCTIONAL, asked_name, canonical
from ferry.translate.operations import (
    check_supported,
    operation,
    prelude_call,
    prelude_function,
    pure_method,
)
from ferry.translate.ops import Op, bind
from ferry.translate.project import CONTAINERS, Unit
from ferry.translate.rewriting import PLACEMENT, rewrite
from ferry.translate.table import CLASSES, OPERATIONS
from ferry.translate.table.index import DATA_DEPENDENT
from ferry.translate.translator import FileTranslator, Refused


def call(tr: FileTranslator, node: ast.Call) -> str | None:
    """The rule for calls."""
    dotted = tr.names.torch(node.func)
    if dotted is not None and any(k.arg == "out" for k in node.keywords):
        return inplace.into_out(tr, node, torch_call(tr, node, dotted))
    if dotted is not None and _writes_first(dotted):
        return inplace.into_first(tr, node, torch_call(tr, node, dotted[:-1]))
    alias.check_arguments(tr, node)
    if dotted is not None:
        return torch_call(tr, node, dotted)
    if isinstance(node.func, ast.Attribute):
        text = method_call(tr, node, node.func)
        if text is not None:
            return text
    _check_draws(tr, node)
    if tr.names.resolve(node.func) == "copy.deepcopy" and tr.kinds(node) == {"module"}:
        return rewrite(tr, node, "nnx.clone")
    if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) == 2:
        return _named_of_torch(tr, node) or source_call(tr, node)
    if isinstance(node.func, ast.Name) and node.func.id == "abs" and tr.is_tensor(node.args[0]):
        return rewrite(tr, node, tr.use("absolute"))
    if isinstance(node.func, ast.Name) and node.func.id in ("int", "float", "bool"):
        fixed = _converted(tr, node)
        if fixed is not None:
            return fixed
    return has_name(tr, node) or source_call(tr, node)


def _writes_first(dotted: str) -> bool:
    """Whether a function of torch writes its first argument in place, as its name says."""
    return dotted.endswith("_") and not dotted.endswith("__") and ".init." not in dotted


def source_call(tr: FileTranslator, node: ast.Call) -> str | None:
    """A call of the source's own code: hands on the key stream where it is needed."""
    if not tr.project.builds(tr.unit, node):
        return None
    if any(k.arg == "rngs" for k in node.keywords):
        return None
    drop = () if tr.project.callee(tr.unit, node) is not None else ("device", "dtype")
    return rewrite(tr, node, tr.render(node.func), drop=drop, add=f"rngs={tr.rngs(node)}")


def _check_draws(tr: FileTranslator, node: ast.Call) -> None:
    """Draws that no key stream reaches: Python's own, and those of a function under ``partial``."""
    dotted = tr.names.resolve(node.func) or ""
    if dotted.startswith(("random.", "numpy.random.")) and not tr.in_constructor(node):
        if tr.facts.of(node) and tr.source.function_of(node) is not None:
            why = f"{dotted} draws from Python's own state, which a compiled function keeps fixed"
            raise Refused(node, "unsupported_construct", why)
        return
    if dotted != "functools.partial" or not node.args:
        return
    target = tr.project.target(tr.unit, node.args[0])
    if target is None or not isinstance(target.node, ast.FunctionDef):
        return
    draws = target.node in tr.project.keyed and "module" not in _results(target.unit, target.node)
    if draws and "tensor" in _results(target.unit, target.node):
        raise Refused(
            node, "unsupported_construct", f"{target.node.name} draws random numbers under partial"
        )


def _results(unit: Unit, function: ast.FunctionDef) -> set[str]:
    """The kinds of value that a function returned."""
    returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value]
    return {kind for value in returned for kind in unit.facts.kinds(value)}


def has_name(tr: FileTranslator, node: ast.expr) -> str | None:
    """``hasattr(torch, "x")``, ``"x" in dir(torch)`` ask for a version of torch; the answer is the run's."""
    asked = asked_name(node)
    space = tr.names.torch(asked[0]) if asked is not None else None
    if asked is None or space is None:
        return None
    dotted = f"{space}.{asked[1]}"
    if dotted in OPERATIONS or prelude_function(tr, dotted):
        return "True"
    values = (tr.facts.of(node) or {}).get("values") or []
    if len(values) != 1:
        raise Refused(
            node, "unsupported_construct", "not known whether this version of torch has the name"
        )
    return str(values[0])


def _named_of_torch(tr: FileTranslator, node: ast.Call) -> str | None:
    """``getattr(F, name)``: what the name was in all runs."""
    space, name = tr.names.torch(node.args[0]), node.args[1]
    if space is None:
        return None
    seen = (tr.facts.of(name) or {}).get("values") or []
    if isinstance(name, ast.Constant):
        seen = [name.value]
    elif len(seen) == 1:
        tr.assume("name_fixed", f"always {seen[0]}: {ast.unparse(name)}", node)
    if len(seen) != 1 or not isinstance(seen[0], str):
        raise Refused(node, "unsupported_construct", f"not known which name of {space} this is")
    return torch_value(tr, node, canonical(f"{space}.{seen[0]}"))


def _converted(tr: FileTranslator, node: ast.Call) -> str | None:
    """``int(x)`` of a tensor: the number, where all runs gave the same."""
    if len(node.args) != 1 or not tr.is_tensor(node.args[0]):
        return None
    return fixed_value(tr, node, "the value of a tensor becomes a Python number")


def fixed_value(tr: FileTranslator, node: ast.Call, why: str) -> str:
    """A whole number read from a tensor, as the literal that all runs gave. Raises Refused."""
    seen = (tr.facts.of(node) or {}).get("values") or []
    if len(seen) != 1 or not isinstance(seen[0], int):
        raise Refused(node, "tensor_branch", why)
    if not isinstance(seen[0], bool):
        tr.assume("value_fixed", f"always {seen[0]}: {ast.unparse(node)}", node)
        return str(seen[0])
    raise Refused(node, "tensor_branch", why)


# --- torch's functions and layers ---


def torch_call(tr: FileTranslator, node: ast.Call, dotted: str) -> str:
    """A call of something of torch."""
    name = dotted.rsplit(".", 1)[-1]
    if dotted.startswith("torch.nn.") and not dotted.startswith(FUNCTIONAL) and name[:1].isupper():
        return layer_call(tr, node, dotted, name)
    if dotted in RANGES and reads_as_numbers(tr, node):
        return operation(tr, node, (RANGES[dotted],), None)
    records = OPERATIONS.get(dotted)
    if name in DATA_DEPENDENT or (dotted == "torch.where" and len(node.args) == 1):
        raise Refused(
            node, "data_dependent_shape", f"the shape of {dotted}'s result depends on values"
        )
    if dotted in ("torch.allclose", "torch.equal"):
        raise Refused(node, "tensor_branch", f"{dotted} makes a Python bool of tensors' values")
    if records:
        return operation(tr, node, records, None)
    known = prelude_function(tr, dotted)
    if known is not None:
        return prelude_call(tr, node, known, None)
    raise Refused(node, "unknown_operation", f"{dotted} is not known")


def layer_call(tr: FileTranslator, node: ast.Call, dotted: str, name: str) -> str:
    """The construction of a layer, a container or a parameter."""
    if name == "Parameter":
        return parameter(tr, node)
    if name in CONTAINERS:
        return rewrite(tr, node, CLASSES[dotted])
    drop = PLACEMENT
    if f"{name}WithIndices" in tr.library.definitions and _gives_indices(node):
        name, drop = f"{name}WithIndices", drop | {"return_indices"}
    definition = tr.library.definitions.get(name)
    if definition is None or not definition.is_class:
        raise Refused(node, "unsupported_layer", f"{dotted} is not known")
    check_supported(tr, node, definition, drop)
    add = f"rngs={tr.rngs(node)}" if tr.project.builds(tr.unit, node) else ""
    return rewrite(tr, node, tr.use(name), drop=drop, add=add)


def _gives_indices(node: ast.Call) -> bool:
    """Whether a pool is told to hand out where its elements were, too."""
    return any(
        k.arg == "return_indices" and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in node.keywords
    )


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


# --- methods ---


def method_call(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """A method of a tensor or a module; None leaves the call to other rules."""
    if func.attr == "forward":
        return forward_call(tr, node, func)
    if _is_super(func.value):
        return super_call(tr, node, func)
    if func.attr == "numel" and tr.kinds(func.value) == {"size"}:
        return f"math.prod({tr.render(func.value)})"
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
    if owner is not None and func.attr == "train" and not _own_train(tr, owner):
        mode = tr.render(node.args[0]) if node.args else "True"
        return f"{tr.use('set_training')}(self, {mode})"
    if owner is None or func.attr != "__init__":
        return None
    if _base_takes_rngs(tr, owner):
        return rewrite(tr, node, tr.render(func), drop=PLACEMENT, add=f"rngs={tr.rngs(node)}")
    of_torch = any(tr.names.torch(base) for base in owner.bases)
    return rewrite(tr, node, tr.render(func), drop=PLACEMENT) if of_torch else None


def _own_train(tr: FileTranslator, owner: ast.ClassDef) -> bool:
    """Whether a base among the source's classes has a ``train`` of its own."""
    bases = list(tr.project.lineage(owner))[1:]
    return any(isinstance(f, ast.FunctionDef) and f.name == "train" for b in bases for f in b.body)


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
    if name == "item":
        return fixed_value(tr, node, ".item() reads a tensor's value")
    if name in ("tolist", "numpy", "allclose", "equal"):
        raise Refused(node, "tensor_branch", f".{name}() reads a tensor's value")
    if name in DATA_DEPENDENT:
        raise Refused(
            node, "data_dependent_shape", f"the shape of .{name}()'s result depends on values"
        )
    if name.endswith("_") and not name.endswith("__") and f"Tensor.{name}" not in OPERATIONS:
        return inplace.expression(tr, node, func)
    return pure_method(tr, node, func.value, name)


_MODULE_PLACE = frozenset(
    ["to", "cuda", "cpu", "float", "double", "half", "requires_grad_", "contiguous"]
)


def module_method(tr: FileTranslator, node: ast.Call, func: ast.Attribute) -> str | None:
    """Methods that torch gives every module."""
    if func.attr in _MODULE_PLACE and not tr.project.callee(tr.unit, node):
        return tr.render(func.value)
    if func.attr in ("add_module", "register_module") and len(node.args) == 2:
        owner, name, module = tr.render(func.value), *map(tr.render, node.args)
        if _names_children(tr, func.value):
            return f"{owner}.add_module({name}, {module})"
        return f"setattr({owner}, {name}, {module})"
    if func.attr in ("register_buffer", "register_parameter") and len(node.args) == 2:
        owner, name = tr.render(func.value), tr.render(node.args[0])
        return f"setattr({owner}, {name}, {statements.buffer(tr, node.args[1])})"
    if func.attr == "parameters" and not node.args and not tr.project.callee(tr.unit, node):
        leaves = f"jax.tree.leaves(nnx.state({tr.render(func.value)}, nnx.Param))"
        parent = tr.source.parents.get(node)
        consumed = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "next"
        return f"iter({leaves})" if consumed else leaves
    if func.attr in _UNSUPPORTED and not tr.project.callee(tr.unit, node):
        raise Refused(node, "unsupported_construct", f".{func.attr}() of a module is not supported")
    return None


def _names_children(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether a module keeps the names of its children: Sequential, and what derives from a container."""
    named = str((tr.facts.of(node) or {}).get("cls") or "").rsplit(".", 1)[-1]
    if named == "Sequential":
        return True
    classes = [c for c in tr.project.module_classes if c.name == named]
    if isinstance(node, ast.Name) and node.id == "self" and not classes:
        owner = tr.module_class(node)
        classes = [owner] if owner is not None else []
    return any(tr.project.torch_base(c) in CONTAINERS | {"Sequential"} for c in classes)


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
