"""Which statements only set initial values.

Equality never depends on them (every variable is filled by the weight map), so they are
left out of the port: ``nn.init`` calls, loops over ``self.modules()`` that call them,
``self.apply(self._init_weights)``, and methods that do nothing else.
"""

from __future__ import annotations

import ast

from ferry.translate.project import Project, Unit
from ferry.translate.source import is_docstring

_FILLS = frozenset(
    [
        "uniform_",
        "normal_",
        "fill_",
        "zero_",
        "copy_",
        "mul_",
        "div_",
        "add_",
        "sub_",
        "clamp_",
        "trunc_normal_",
        "constant_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "orthogonal_",
        "ones_",
        "zeros_",
        "eye_",
        "dirac_",
        "sparse_",
        "log_",
        "exponential_",
        "lecun_normal_",
    ]
)


class Initial:
    """Answers, with a memory, whether statements and functions only initialise."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._functions: dict[ast.AST, bool] = {}

    def function(self, unit: Unit, node: ast.AST) -> bool:
        """Whether a function does nothing but set initial values."""
        if node not in self._functions:
            self._functions[node] = False  # for recursion
            self._functions[node] = self._only_initialises(unit, node)
        return self._functions[node]

    def _only_initialises(self, unit: Unit, node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef) or node.name in (
            "__init__",
            "forward",
            "__call__",
        ):
            return False
        body = [s for s in node.body if not is_docstring(s)]
        return all(self._harmless(unit, s) for s in body) and self._fills_any(unit, body)

    def statement(self, unit: Unit, node: ast.stmt) -> bool:
        """Whether a statement, outside of forward, only sets initial values."""
        function = unit.source.function_of(node)
        if isinstance(function, ast.FunctionDef) and not self._project.is_constructor(function):
            return _calls_init(unit, node)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            return self._fills_any(unit, [node])
        return self._harmless(unit, node) and self._fills_any(unit, [node])

    def serves(self, unit: Unit, node: ast.FunctionDef) -> bool:
        """Whether a function is only called by those that set initial values."""
        users = [
            (other, place)
            for other in self._project.units.values()
            for place in ast.walk(other.source.tree)
            if _names(place) == node.name and place not in ast.walk(node)
        ]
        return bool(users) and all(self._is_inside(other, place) for other, place in users)

    def _is_inside(self, unit: Unit, node: ast.AST) -> bool:
        scopes = [a for a in unit.source.ancestors(node) if isinstance(a, ast.FunctionDef)]
        return any(self.function(unit, scope) for scope in scopes)

    def _harmless(self, unit: Unit, node: ast.stmt) -> bool:
        if isinstance(node, (ast.Pass, ast.Return)):
            return not (isinstance(node, ast.Return) and node.value is not None)
        if is_docstring(node):
            return True
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return self._fills(unit, node) or all(isinstance(t, ast.Name) for t in targets)
        if isinstance(node, ast.If):
            return all(self._harmless(unit, s) for s in (*node.body, *node.orelse))
        if isinstance(node, ast.For):
            return all(self._harmless(unit, s) for s in (*node.body, *node.orelse))
        if isinstance(node, ast.With):
            grads = all(_is_no_grad(unit, item) for item in node.items)
            return grads and all(self._harmless(unit, s) for s in node.body)
        return self._fills(unit, node)

    def _fills_any(self, unit: Unit, body: list[ast.stmt]) -> bool:
        return any(
            self._fills(unit, n) for s in body for n in ast.walk(s) if isinstance(n, ast.stmt)
        )

    def _fills(self, unit: Unit, node: ast.stmt) -> bool:
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return all(_is_data(t) for t in targets)
        return (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and self._call(unit, node.value)
        )

    def _call(self, unit: Unit, call: ast.Call) -> bool:
        dotted = unit.names.resolve(call.func) or ""
        if dotted.startswith("torch.nn.init.") or dotted.rsplit(".", 1)[-1] in _FILLS:
            return True
        callee = self._project.callee(unit, call)
        if callee is not None:
            return self.function(self._unit_of(unit, callee), callee)
        if not isinstance(call.func, ast.Attribute):
            return False
        if call.func.attr in ("apply", "_apply") and call.args:
            return self._applied(unit, call.args[0])
        if call.func.attr == "reset_parameters":
            return True
        return call.func.attr in _FILLS and self._is_parameter(unit, call.func.value)

    def _applied(self, unit: Unit, node: ast.expr) -> bool:
        """The argument of ``apply``: an initialising function, perhaps in a partial."""
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("partial"):
            return self._applied(unit, node.args[0])
        callee = self._project.callee(unit, ast.copy_location(_as_call(unit, node), node))
        return callee is not None and self.function(self._unit_of(unit, callee), callee)

    def _unit_of(self, unit: Unit, node: ast.AST) -> Unit:
        return unit if node in unit.source.parents else self._project.unit_of(node)

    def _is_parameter(self, unit: Unit, node: ast.expr) -> bool:
        if _is_data(node):
            return True
        if isinstance(node, ast.Subscript):
            return self._is_parameter(unit, node.value)
        if not isinstance(node, ast.Attribute):
            return False
        return self._project.tensor_kinds.get(node.attr) == {"parameter"} or node.attr in (
            "weight",
            "bias",
        )


def _calls_init(unit: Unit, node: ast.stmt) -> bool:
    """Whether a statement is a call of ``nn.init``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    dotted = unit.names.torch(node.value.func) or ""
    return dotted.startswith("torch.nn.init.") and dotted.endswith("_")


def _names(node: ast.AST) -> str | None:
    """The function or method that an expression may name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _as_call(unit: Unit, func: ast.expr) -> ast.Call:
    """A call of `func` in its place, so that its callee can be looked up."""
    call = ast.Call(func=func, args=[], keywords=[])
    unit.source.parents[call] = unit.source.parents[func]
    return call


def _is_data(node: ast.AST) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr == "data"


def _is_no_grad(unit: Unit, item: ast.withitem) -> bool:
    call = item.context_expr
    func = call.func if isinstance(call, ast.Call) else call
    return unit.names.torch(func) in ("torch.no_grad", "torch.inference_mode")
