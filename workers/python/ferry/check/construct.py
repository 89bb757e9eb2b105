"""How a candidate's entry is constructed: the plan's arguments, or its expression."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from flax import nnx

from ferry.check.adapter import Adapter
from ferry.check.candidate import Candidate
from ferry.check.counterparts import counterpart
from ferry.step import StepError

#: Roots under which an expression finds torch's names.
TORCH_ROOTS = ("torch", "nn", "F")


def constructor(
    candidate: Candidate, init: Mapping[str, Any], adapter: Adapter
) -> Callable[[], Any]:
    """A function that builds the entry anew at each call, as `init` of the plan says."""
    assert candidate.module is not None
    if init.get("how") == "expr" and adapter.build is None:
        return _expression(init["expr"], candidate.module)
    args, kwargs = _arguments(init, candidate.module)

    def construct() -> Any:
        if adapter.build is not None:
            return adapter.build(candidate.target, list(args), dict(kwargs))
        return supply_rngs(candidate.target, args, kwargs)

    return construct


def supply_rngs(target: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Call `target`, with `rngs` if it takes them and was given none."""
    if "rngs" not in kwargs and _takes_rngs(target):
        return target(*args, **kwargs, rngs=nnx.Rngs(0))
    return target(*args, **kwargs)


def _takes_rngs(target: Any) -> bool:
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return False
    if any(parameter.name == "rngs" for parameter in parameters):
        return True
    module = isinstance(target, type) and issubclass(target, nnx.Module)
    if not module or target.__init__ is object.__init__:
        return False  # without a constructor the signature is that of any call
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _arguments(init: Mapping[str, Any], module: ModuleType) -> tuple[list[Any], dict[str, Any]]:
    """Constructor arguments: the candidate's own where the source computed them in code."""
    how = init.get("how")
    own = getattr(module, "get_init_inputs", None)
    if how in ("get_init_inputs", "code") and callable(own):
        return list(own()), {}
    if how == "code":
        message = "the constructor's arguments come from get_init_inputs, which the candidate lacks"
        raise StepError("candidate_error", message, why="no_init_inputs")
    return list(init.get("args") or []), dict(init.get("kwargs") or {})


def _expression(text: str, module: ModuleType) -> Callable[[], Any]:
    """The constructor that evaluates `text` in the candidate's namespace."""
    try:
        tree = ast.parse(text.strip(), filename="<init_expr>", mode="eval")
    except SyntaxError as error:
        message = f"init_expr does not parse: {error.msg}"
        raise StepError("unsupported_expression", message, text=text) from error
    namespace = dict(vars(module))
    for name in _free_names(tree):
        if name in TORCH_ROOTS:
            namespace[name] = _TorchNames(module, name)
        elif name not in namespace and not hasattr(builtins, name):
            namespace[name] = _resolve(module, name, name)
    namespace["__supply__"] = lambda target, *args, **kwargs: supply_rngs(target, args, kwargs)
    code = compile(ast.fix_missing_locations(_SupplyCalls().visit(tree)), "<init_expr>", "eval")
    return lambda: eval(code, namespace)


def _free_names(tree: ast.AST) -> set[str]:
    """The names that an expression reads and does not bind itself."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {node.id for node in names} - bound


class _SupplyCalls(ast.NodeTransformer):
    """Turns every call ``f(…)`` into ``__supply__(f, …)``."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        supply = ast.Name("__supply__", ast.Load())
        return ast.Call(func=supply, args=[node.func, *node.args], keywords=node.keywords)


class _TorchNames:
    """Stands for a torch module in an expression: ``nn.GELU``, ``torch.nn.functional.relu``."""

    def __init__(self, module: ModuleType, path: str) -> None:
        self._module = module
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name in ("nn", "functional", "modules"):
            return _TorchNames(self._module, f"{self._path}.{name}")
        return _resolve(self._module, name, f"{self._path}.{name}")


def _resolve(module: ModuleType, name: str, shown: str) -> Any:
    """The candidate's own `name`, else its counterpart."""
    if hasattr(module, name):
        return getattr(module, name)
    try:
        return counterpart(name)
    except KeyError:
        message = f"{shown} in init_expr is neither in the candidate nor known here"
        raise StepError("unsupported_expression", message, text=shown) from None
