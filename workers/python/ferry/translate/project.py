"""All files of a source together: definitions, module classes, and who needs random keys.

A function *needs keys* when it builds modules (their initial values are drawn), or when it
draws random numbers and is not a method with ``self.rngs`` at hand. Such a function gains the
keyword ``rngs`` and its callers pass it on; `Project` finds them as a fixed point.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.files import module_name
from ferry.translate import library
from ferry.translate.facts import FileFacts
from ferry.translate.names import FUNCTIONAL, Names, is_torch
from ferry.translate.source import Function, SourceFile, is_function
from ferry.translate.table import OPERATIONS

_NOT_BUILDERS = frozenset(
    [
        "getattr",
        "next",
        "iter",
        "list",
        "tuple",
        "reversed",
        "zip",
        "map",
        "dict",
        "sorted",
        "super",
        "type",
        "filter",
        "vars",
        "id",
    ]
)
RANDOM_METHODS = frozenset(["bernoulli_", "normal_", "uniform_"])
CONTAINERS = frozenset(["ModuleList", "ModuleDict", "ParameterList", "ParameterDict"])


@dataclass(eq=False)
class Unit:
    """One Python file with all that is known about it."""

    source: SourceFile
    names: Names
    facts: FileFacts
    top: dict[str, ast.stmt] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file's path."""
        return self.source.path


@dataclass(frozen=True)
class Target:
    """A class or function of the source that an expression names."""

    unit: Unit
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Project:
    """The units of a source and the questions that need all of them."""

    def __init__(
        self,
        sources: Sequence[SourceFile],
        facts: Mapping[str, Any],
        tensors: Sequence[Mapping[str, Any]],
    ) -> None:
        self.units = {s.path: Unit(s, Names(s), FileFacts(facts, s.path)) for s in sources}
        self.modules = {module_name(path): unit for path, unit in self.units.items()}
        for unit in self.units.values():
            unit.top = _top_definitions(unit.source.tree)
        for unit in self.units.values():
            unit.names.imports = {n: self._behind(d) for n, d in unit.names.imports.items()}
        self.tensors = list(tensors)
        self.tensor_kinds: dict[str, set[str]] = {}
        for tensor in tensors:
            attribute = tensor["name"].rsplit(".", 1)[-1]
            self.tensor_kinds.setdefault(attribute, set()).add(tensor["kind"])
        paths = (m["path"] for m in facts.get("modules") or ())
        self.module_names = {path.rsplit(".", 1)[-1] for path in paths}
        self.module_classes = self._find_module_classes()
        self.keyed: set[ast.AST] = set()
        self._builders: set[ast.AST] = set()
        self.carriers: dict[ast.AST, str] = {}
        self.stream_owners: set[str] = set()
        self._find_keyed()

    def _behind(self, dotted: str) -> str:
        """The name of torch that an import through the source's own files gives, or `dotted`."""
        onward, seen = dotted, {dotted}
        while not is_torch(onward):
            module, _, name = onward.rpartition(".")
            unit = self.modules.get(module)
            found = unit.names.imports.get(name) if unit is not None else None
            if unit is None or name in unit.top or found is None or found in seen:
                return dotted
            seen.add(found)
            onward = found
        return onward

    # --- names of the source itself ---

    def target(self, unit: Unit, node: ast.AST) -> Target | None:
        """The source's own class or function an expression names, through imports."""
        if (
            isinstance(node, ast.Name)
            and node.id in unit.top
            and not unit.source.is_local(node, node.id)
        ):
            return self._as_target(unit, unit.top[node.id])
        dotted = unit.names.resolve(node)
        return self._by_dotted(dotted) if dotted else None

    def _by_dotted(self, dotted: str, depth: int = 0) -> Target | None:
        module, _, name = dotted.rpartition(".")
        unit = self.modules.get(module)
        if unit is None or depth > 10:
            return None
        if name in unit.top:
            return self._as_target(unit, unit.top[name])
        onward = unit.names.imports.get(name)
        return self._by_dotted(onward, depth + 1) if onward else None

    def _as_target(self, unit: Unit, node: ast.stmt) -> Target | None:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return Target(unit, node) if isinstance(node, kinds) else None

    # --- classes ---

    def _find_module_classes(self) -> dict[ast.ClassDef, Unit]:
        classes = [
            (node, unit)
            for unit in self.units.values()
            for node in ast.walk(unit.source.tree)
            if isinstance(node, ast.ClassDef)
        ]
        found: dict[ast.ClassDef, Unit] = {}
        grew = True
        while grew:
            grew = False
            for node, unit in classes:
                if node not in found and any(
                    self._is_module_base(unit, b, found) for b in node.bases
                ):
                    found[node] = unit
                    grew = True
        return found

    def _is_module_base(
        self, unit: Unit, base: ast.expr, found: Mapping[ast.ClassDef, Unit]
    ) -> bool:
        dotted = unit.names.torch(base)
        if dotted:
            return dotted.startswith("torch.nn.") and dotted.rsplit(".", 1)[-1][:1].isupper()
        target = self.target(unit, base)
        return target is not None and target.node in found

    def is_gradient_rule(self, node: ast.AST | None) -> bool:
        """Whether a node is a class derived from ``torch.autograd.Function``."""
        if not isinstance(node, ast.ClassDef):
            return False
        unit = self.unit_of(node)
        return any(unit.names.torch(b) == "torch.autograd.Function" for b in node.bases)

    def lineage(self, node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        """The class and the source's classes it derives from, nearest first."""
        seen: set[ast.ClassDef] = set()
        stack = [node]
        while stack:
            current = stack.pop(0)
            if current in seen:
                continue
            seen.add(current)
            yield current
            unit = self.module_classes.get(current) or self.unit_of(current)
            for base in current.bases:
                target = self.target(unit, base)
                if target and isinstance(target.node, ast.ClassDef):
                    stack.append(target.node)

    def unit_of(self, node: ast.AST) -> Unit:
        """The unit whose tree holds a node."""
        return next(u for u in self.units.values() if node in u.source.parents)

    def method(self, owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
        """A method by name, through the source's base classes."""
        for cls in self.lineage(owner):
            for item in cls.body:
                if isinstance(item, ast.FunctionDef) and item.name == name:
                    return item
        return None

    def torch_base(self, owner: ast.ClassDef) -> str:
        """The torch layer a class derives from in the end; ``Module`` for plain modules."""
        for cls in self.lineage(owner):
            unit = self.module_classes.get(cls)
            for base in cls.bases if unit else ():
                dotted = unit.names.torch(base) if unit else None
                if dotted and dotted != "torch.nn.Module":
                    return dotted.rsplit(".", 1)[-1]
        return "Module"

    def takes_rngs(self, owner: ast.ClassDef) -> bool:
        """Whether a module class's constructor will accept ``rngs``."""
        return self.method(owner, "__init__") is not None or self.torch_base(owner) != "Module"

    def is_constructor(self, function: ast.AST | None) -> bool:
        """Whether a function is the ``__init__`` of a module class."""
        if not isinstance(function, ast.FunctionDef) or function.name != "__init__":
            return False
        return any(function in cls.body for cls in self.module_classes)

    def method_owner(self, unit: Unit, function: ast.AST) -> ast.ClassDef | None:
        """The module class whose direct method `function` is."""
        parent = unit.source.parents.get(function)
        return (
            parent if isinstance(parent, ast.ClassDef) and parent in self.module_classes else None
        )

    # --- who needs keys ---

    def _find_keyed(self) -> None:
        for owner in self.module_classes:
            constructors = [f for f in owner.body if self.is_constructor(f)]
            self.keyed.update(constructors)
            self._builders.update(constructors)
        grew = True
        while grew:
            before = len(self.keyed) + len(self._builders)
            for unit in self.units.values():
                for node in ast.walk(unit.source.tree):
                    if isinstance(node, ast.Call):
                        self._mark_keyed(unit, node)
            grew = len(self.keyed) + len(self._builders) > before

    def _mark_keyed(self, unit: Unit, call: ast.Call) -> None:
        function = unit.source.function_of(call)
        if function is None or function in self._builders:
            return
        callee = self.callee(unit, call)
        passes = self.builds(unit, call) or (
            self._makes_layer(unit, call, callee) and _is_value(unit, function)
        )
        if passes and (callee not in self.keyed or callee in self._builders):
            self._builders.add(function)
            self.keyed.add(function)
        elif (passes or self.draws(unit, call)) and self.self_name(unit, function) is None:
            if function not in self.keyed and self._is_carried(unit, function):
                return
            self.keyed.add(function)

    def _is_carried(self, unit: Unit, function: Function) -> bool:
        """Whether a function that is called through a variable is handed a module with a stream.

        Such a module is noted: its class keeps the stream that its constructor was given.
        """
        if function in self.carriers:
            return True
        if isinstance(function, ast.Lambda) or not self._is_handed_around(function.name):
            return False
        for arg in function.args.args:
            uses = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == arg.arg]
            facts = [f for f in map(unit.facts.of, uses) if f is not None]
            if facts and all(f["kind"] == "module" for f in facts):
                self.carriers[function] = arg.arg
                for fact in facts:
                    self.stream_owners.update(fact.get("classes") or [str(fact.get("cls"))])
                return True
        return False

    def _is_handed_around(self, name: str) -> bool:
        """Whether any file names a function without calling it."""
        return any(
            isinstance(n, ast.Name)
            and n.id == name
            and isinstance(n.ctx, ast.Load)
            and not (isinstance(p := unit.source.parents[n], ast.Call) and p.func is n)
            for unit in self.units.values()
            for n in ast.walk(unit.source.tree)
        )

    def keeps_stream(self, owner: ast.ClassDef) -> bool:
        """Whether a function that is handed modules of a class draws from their stream."""
        if not self.stream_owners:
            return False
        unit = self.module_classes.get(owner) or self.unit_of(owner)
        return f"{module_name(unit.path)}.{owner.name}" in self.stream_owners

    def self_name(self, unit: Unit, function: Function) -> str | None:
        """The name of ``self`` in a method of a module class, or in a function inside one."""
        node: ast.AST | None = function
        while is_function(node):
            if self.method_owner(unit, node) and isinstance(node, ast.FunctionDef):
                static = any(
                    isinstance(d, ast.Name) and "method" in d.id for d in node.decorator_list
                )
                return None if static or not node.args.args else node.args.args[0].arg
            node = unit.source.function_of(node)
        return None

    def builds(self, unit: Unit, call: ast.Call) -> bool:
        """Whether a call must hand on ``rngs``: it makes modules, or calls what needs keys to."""
        dotted = unit.names.torch(call.func)
        if dotted is not None:
            return self._layer_takes_rngs(dotted)
        callee = self.callee(unit, call)
        if isinstance(callee, ast.ClassDef):
            return callee in self.module_classes and self.takes_rngs(callee)
        if callee is not None:
            return callee in self.keyed and self._hands_on(unit, callee)
        return self._makes_module(unit, call)

    def _makes_layer(self, unit: Unit, call: ast.Call, callee: ast.AST | None) -> bool:
        """Whether a call makes a module, be it one without keys."""
        dotted = unit.names.torch(call.func) or ""
        layer = dotted.startswith("torch.nn.") and dotted.rsplit(".", 1)[-1][:1].isupper()
        return callee in self.module_classes if callee is not None else layer

    def _hands_on(self, unit: Unit, callee: ast.AST) -> bool:
        return not self.is_constructor(callee)

    def _layer_takes_rngs(self, dotted: str) -> bool:
        name = dotted.rsplit(".", 1)[-1]
        if not dotted.startswith("torch.nn.") or dotted.startswith(FUNCTIONAL):
            return False
        lib = library.load()
        return name not in CONTAINERS and name in lib.definitions and lib.takes_rngs(name)

    def _makes_module(self, unit: Unit, call: ast.Call) -> bool:
        """A call of a class or factory held in a variable, as its result shows."""
        if unit.facts.kinds(call) != {"module"}:
            return False
        func = call.func
        if isinstance(func, ast.Name):
            imported = func.id in unit.names.imports and not unit.source.is_local(func, func.id)
            return func.id not in _NOT_BUILDERS and not imported
        if isinstance(func, ast.Attribute):
            return unit.facts.kinds(func) <= {"other", "function"} and not unit.facts.kinds(
                func.value
            ) <= {"module"}
        return isinstance(func, ast.Subscript)

    def callee(self, unit: Unit, call: ast.Call) -> ast.AST | None:
        """The source's class, function or method that a call names, where that is plain."""
        target = self.target(unit, call.func)
        if target is not None:
            return target.node
        if isinstance(call.func, ast.Name):
            return self._nested(unit, call, call.func.id)
        if isinstance(call.func, ast.Attribute):
            function = unit.source.function_of(call)
            owner = unit.source.class_of(call)
            value = call.func.value
            own = {self.self_name(unit, function) if function else None, "cls"}
            if owner and isinstance(value, ast.Name) and value.id in own | {owner.name}:
                return self.method(owner, call.func.attr)
        return None

    def _nested(self, unit: Unit, call: ast.Call, name: str) -> ast.AST | None:
        for scope in unit.source.ancestors(call):
            if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(scope):
                    if (
                        isinstance(node, ast.FunctionDef)
                        and node.name == name
                        and node is not scope
                    ):
                        return node
        return None

    def draws(self, unit: Unit, call: ast.Call) -> bool:
        """Whether a call draws random numbers itself."""
        dotted = unit.names.torch(call.func)
        if dotted is None:
            if not isinstance(call.func, ast.Attribute) or call.func.attr not in RANDOM_METHODS:
                return False
            kinds = unit.facts.kinds(call.func.value)
            return not kinds or "tensor" in kinds  # what never ran may be one
        if any(op.random for op in OPERATIONS.get(dotted, ())):
            return True
        name = dotted.rsplit(".", 1)[-1]
        definition = library.load().definitions.get(name)
        if definition is None or definition.is_class or not definition.takes_rngs:
            return False
        return "dropout_p" not in definition.parameters or _passes_dropout(call)


def _is_value(unit: Unit, function: Function) -> bool:
    """Whether a function is handed around, so that whoever calls it passes ``rngs``."""
    if isinstance(function, ast.Lambda):
        return True
    parents = unit.source.parents
    return any(
        isinstance(n, ast.Name) and n.id == function.name and not isinstance(parents[n], ast.Call)
        for n in ast.walk(unit.source.tree)
    )


def _passes_dropout(call: ast.Call) -> bool:
    """Whether an attention call names a dropout other than 0."""
    given = [k.value for k in call.keywords if k.arg == "dropout_p"] + call.args[4:5]
    return any(not (isinstance(v, ast.Constant) and v.value == 0) for v in given)


def _top_definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
    return found
