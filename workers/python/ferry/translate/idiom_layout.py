"""Images with their channels on the last axis, as Flax's layers take them, in a whole source.

In the port every tensor of an image's rank then is (N, ..., C): what the entry is given is moved
once at its start, what it returns once at its end, and between them nothing depends on where a
value came from. `plan` looks at every expression that ran. One that acts element by element stays as it
is, one along an axis gets the moved axis, and any other has its images moved around it. Where that costs as much
as a move around every convolution, or where an expression cannot be followed, there is no plan and channels stay
on axis 1.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ferry.translate.facts import Fact
from ferry.translate.idiom_images import Edit, Images, Layout, NoPlan, number
from ferry.translate.project import Project
from ferry.translate.source import parameters
from ferry.translate.table.idiom import SEQUENTIAL, Switch
from ferry.translate.table.layout import (
    ALONG,
    ASK,
    ELEMENTWISE,
    POOLS,
    REDUCE,
    Pool,
)

if TYPE_CHECKING:
    from ferry.translate.idiom import Applied, Idioms, Module

IDENT = "channels_last"


def plan(
    project: Project, idioms: Idioms, modules: Mapping[str, Module], entry: Mapping[str, Any]
) -> Layout | None:
    """What the layout changes in the source, or None where it is not followed or does not pay."""
    convolutions = [
        one for one in idioms.applied if one.switch.to in ("nnx.Conv", "nnx.ConvTranspose")
    ]
    ranks = {one.switch.spatial for one in convolutions}
    forward = _entry_forward(project, entry)
    if len(ranks) != 1 or forward is None:
        return None
    planner = _Planner(project, idioms, modules, Layout(ranks.pop() + 2), forward)
    try:
        planner.run()
    except NoPlan:
        return None
    around = 2 * sum(len(one.paths) > 0 for one in convolutions)
    return planner.layout if planner.layout.moves < around else None


def _entry_forward(project: Project, entry: Mapping[str, Any]) -> ast.FunctionDef | None:
    unit = project.units.get(str(entry.get("file")))
    owner = unit.top.get(str(entry.get("name"))) if unit is not None else None
    return project.method(owner, "forward") if isinstance(owner, ast.ClassDef) else None


class _Planner(Images):
    """One walk over all functions that ran."""

    def __init__(
        self,
        project: Project,
        idioms: Idioms,
        modules: Mapping[str, Module],
        layout: Layout,
        forward: ast.FunctionDef,
    ) -> None:
        super().__init__(project, layout)
        self._by_path = idioms.by_path
        self._modules = modules
        self._forward = forward

    def run(self) -> None:
        """Fill the layout. Raises NoPlan."""
        for path, one in self._by_path.items():
            if one.switch is SEQUENTIAL and path.rpartition(".")[0] not in self._sequences():
                self._sequence(path)
        for unit in self._project.units.values():
            self._unit = unit
            for node in ast.walk(unit.source.tree):
                if isinstance(node, ast.FunctionDef) and unit.facts.ran(node):
                    self._function(node)

    # --- functions ---

    def _function(self, function: ast.FunctionDef) -> None:
        if self._project.is_constructor(function):
            return
        names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and self._is_image(n)}
        for node in _own_nodes(function):
            self._statement(node, names)
            if isinstance(node, ast.expr):
                self._expression(node, names)
        if function is self._forward:
            self._entry(function, names)

    def _entry(self, function: ast.FunctionDef, names: set[str]) -> None:
        """Move what the entry is given and what it returns."""
        arguments = function.args
        if names and (arguments.vararg or arguments.kwarg):
            raise NoPlan
        given = [a.arg for a in parameters(function) if self._enters(function, a.arg)]
        first = next(s for s in function.body if not _is_text(s))
        if isinstance(first, (ast.FunctionDef, ast.ClassDef)):
            raise NoPlan
        indent = self._unit.source.indent(first)
        lines = [f"{name} = jnp.moveaxis({name}, 1, -1)" for name in given]
        self.layout.edits[first] = Edit(f"\n{indent}".join([*lines, "{}"]))
        for node in _own_nodes(function):
            if isinstance(node, ast.Return) and node.value is not None:
                self._returned(node.value)

    def _enters(self, function: ast.FunctionDef, name: str) -> bool:
        """Whether a parameter is an image where it is first read."""
        reads = [
            n
            for n in ast.walk(function)
            if isinstance(n, ast.Name) and n.id == name and self._fact(n)
        ]
        return bool(reads) and self._is_image(min(reads, key=lambda n: (n.lineno, n.col_offset)))

    def _returned(self, node: ast.expr) -> None:
        if self._is_image(node):
            self._to_first(node)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for element in node.elts:
                self._returned(element)
        elif isinstance(node, ast.Dict):
            for value in node.values:
                self._returned(value)
        elif not self._is_tensor(node) and self._unit.facts.kinds(node) != {"none"}:
            raise NoPlan

    def _statement(self, node: ast.AST, names: set[str]) -> None:
        if isinstance(node, ast.For) and self._is_image(node.iter):
            raise NoPlan
        if isinstance(node, ast.AugAssign):
            image = isinstance(node.target, ast.Name) and node.target.id in names
            if image and not self._broadcasts([node.value]):
                raise NoPlan
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            statement = self._unit.source.statement_of(node)
            value = getattr(statement, "value", None)
            stores = isinstance(node, ast.Attribute) and value is not None and self._is_image(value)
            if stores or self._is_image(node.value):
                raise NoPlan

    def _expression(self, node: ast.expr, names: set[str]) -> None:
        if not self._fact(node):
            self._unseen(node, names)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, (ast.BinOp, ast.Compare, ast.BoolOp)):
            self._operator(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            self._subscript(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self._attribute(node)

    def _unseen(self, node: ast.expr, names: set[str]) -> None:
        """Code that did not run must not touch an image."""
        if isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Lambda)) and any(
            isinstance(n, ast.Name) and n.id in names for n in ast.walk(node)
        ):
            raise NoPlan

    # --- operators ---

    def _operator(self, node: ast.BinOp | ast.Compare | ast.BoolOp) -> None:
        operands = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        images = [o for o in operands if self._is_image(o)]
        matrix = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
        if (images or self._is_image(node)) and (matrix or not self._broadcasts(operands)):
            self._around(node, images)

    def _broadcasts(self, operands: Sequence[ast.AST]) -> bool:
        """Whether operands meet an image element by element in either layout."""
        return all(
            not self._is_tensor(o) or self._is_image(o) or self._fact(o).get("ndim") == 0
            for o in operands
        )

    def _attribute(self, node: ast.Attribute) -> None:
        if self._is_image(node.value):
            if node.attr == "shape":
                self._shape(node)
            elif node.attr in ("T", "mT", "data", "real", "imag"):
                raise NoPlan
        elif self._is_image(node) and self._unit.facts.kinds(node.value) == {"module"}:
            if node.attr not in self._project.tensor_kinds:
                raise NoPlan
            self._to_last(node)

    def _shape(self, node: ast.expr) -> None:
        """Sizes of an image: one by its number, all unpacked, or the spatial ones."""
        parent = self._unit.source.parents[node]
        if isinstance(parent, ast.Subscript) and parent.value is node:
            if isinstance(parent.slice, ast.Slice):
                low, high = number(parent.slice.lower), parent.slice.upper
                if (
                    low is None
                    or low % self.layout.rank != 2
                    or high is not None
                    or parent.slice.step
                ):
                    raise NoPlan
                self.layout.edits[parent.slice] = Edit("1:-1")
            else:
                self._renumber(parent.slice)
        elif isinstance(parent, ast.Assign) and len(parent.targets) == 1:
            target = parent.targets[0]
            if not isinstance(target, ast.Tuple) or len(target.elts) != self.layout.rank:
                raise NoPlan
            batch, channels, *space = (ast.unparse(e) for e in target.elts)
            self.layout.edits[target] = Edit(", ".join([batch, *space, channels]))
        elif not isinstance(parent, (ast.Compare, ast.FormattedValue)):
            raise NoPlan

    def _subscript(self, node: ast.Subscript) -> None:
        if not self._is_image(node.value):
            if self._is_image(node) and self._is_tensor(node.value):
                self._around(node, [])
            return
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if self._is_image(node) and all(isinstance(p, ast.Slice) for p in parts):
            if len(parts) > 1:
                texts = [ast.unparse(p) for p in parts] + [":"] * (self.layout.rank - len(parts))
                moved = [texts[0], *texts[2:], texts[1]]
                while moved[-1] == ":":
                    moved.pop()
                self.layout.edits[node.slice] = Edit(", ".join(moved))
            return
        self._around(node, [node.value])

    # --- calls ---

    def _call(self, node: ast.Call) -> None:
        images = list(self._images_of(node))
        is_module = self._unit.facts.kinds(node.func) == {"module"}
        if not images and not self._is_image(node):
            if is_module and self._is_spatial_call(node):
                raise NoPlan  # a layer of images that is given something else
            return
        if is_module:
            self._module_call(node, images)
            return
        name = self._operation(node)
        if name is None:
            if self._project.callee(self._unit, node) is None and not _is_builtin(node):
                raise NoPlan
        elif name in ELEMENTWISE:
            operands = [*self._arguments(node), *self._receiver(node)]
            if not self._broadcasts(operands):
                self._around(node, images)
        elif name == "size":
            self._size(node)
        elif name in ALONG or name in REDUCE:
            self._along(node, name, images)
        elif name in POOLS and self._pool(node, POOLS[name]):
            pass
        elif name not in ASK:
            self._reshaping(node, name, images)

    def _images_of(self, node: ast.Call) -> Iterator[ast.AST]:
        for value in (*self._receiver(node), *self._arguments(node)):
            if self._is_image(value):
                yield value
            elif isinstance(value, (ast.List, ast.Tuple)):
                yield from (e for e in value.elts if self._is_image(e))
            elif self._holds_images(self._fact(value)):
                yield value

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        return [*node.args, *(k.value for k in node.keywords)]

    def _operation(self, node: ast.Call) -> str | None:
        """The bare name of a function of torch or of a tensor's method."""
        dotted = self._unit.names.torch(node.func)
        if dotted is not None:
            return dotted.rsplit(".", 1)[-1]
        method = isinstance(node.func, ast.Attribute) and self._receiver(node)
        return node.func.attr if method else None  # type: ignore[attr-defined]

    def _receiver(self, node: ast.Call) -> list[ast.expr]:
        """The tensor whose method is called."""
        func = node.func
        return (
            [func.value] if isinstance(func, ast.Attribute) and self._is_tensor(func.value) else []
        )

    def _size(self, node: ast.Call) -> None:
        arguments = self._arguments(node)
        if arguments:
            self._renumber(arguments[0])
        else:
            self._shape(node)

    def _along(self, node: ast.Call, name: str, images: Sequence[ast.AST]) -> None:
        position = (ALONG.get(name) or REDUCE[name]) - len(self._receiver(node))
        named = {k.arg: k.value for k in node.keywords}
        axis = named.get("dim") or (node.args[position] if len(node.args) > position else None)
        if axis is None and name in REDUCE:
            return  # over all elements
        if axis is None:
            axis_is_first = name in ("cat", "concat", "concatenate", "split", "chunk")
            if not axis_is_first:
                raise NoPlan
            return
        if any(number(e) is None for e in getattr(axis, "elts", [axis])):
            self._around(node, images)
            return
        axes = [(number(e) or 0) % self.layout.rank for e in getattr(axis, "elts", [axis])]
        kept = self._is_image(node) or name in ALONG
        space = set(range(2, self.layout.rank))
        if kept or 1 in axes or space <= set(axes) or axes == [0]:
            self._renumber(axis)
        else:
            self._around(node, images)

    def _reshaping(self, node: ast.Call, name: str, images: Sequence[ast.AST]) -> None:
        """Any other operation; one that only joins axes needs no move where channels are all there is."""
        joins = name in ("flatten", "view", "reshape") and self._fact(node).get("ndim") == 2
        if joins and all(_is_point(self._fact(image)) for image in images):
            return
        self._around(node, images)

    def _pool(self, node: ast.Call, template: Pool) -> bool:
        """A pool whose sizes are written out, as Flax's own."""
        text = template.text(node, self.layout.spatial)
        if text is not None:
            self.layout.edits[node] = Edit(text, node.args[0])
        return text is not None

    def _is_spatial_call(self, node: ast.Call) -> bool:
        made = [self._by_path.get(path) for path in self._fact(node.func).get("modules") or ()]
        return any(one and one.switch.spatial in (self.layout.spatial, -1) for one in made)

    def _module_call(self, node: ast.Call, images: Sequence[ast.AST]) -> None:
        paths = self._fact(node.func).get("modules")
        if paths is None or "" in paths:
            raise NoPlan
        takes = {self._takes_images(path) for path in paths}
        if takes == {False}:
            self._around(node, images)
        elif takes != {True}:
            raise NoPlan

    # --- modules ---

    def _takes_images(self, path: str) -> bool:
        """Whether a module takes images with channels last."""
        module, one = self._modules[path], self._by_path.get(path)
        if one is not None and one.switch is SEQUENTIAL:
            return all(self._takes_images(leaf.path) for leaf in self._leaves(path))
        if one is not None:
            return _is_aware(one.switch, self.layout.spatial)
        home, _, name = module.cls.rpartition(".")
        unit = self._project.modules.get(home)
        owner = unit.top.get(name) if unit is not None else None
        if isinstance(owner, ast.ClassDef) and self._project.torch_base(owner) == "Module":
            return True
        if owner is not None or module.cls.startswith("torch.nn.modules.container."):
            raise NoPlan  # its images pass where no expression shows them
        return module.cls == "torch.nn.modules.linear.Identity"

    def _sequences(self) -> set[str]:
        return {path for path, one in self._by_path.items() if one.switch is SEQUENTIAL}

    def _sequence(self, path: str) -> None:
        """The children of a Sequential, through which images may go that no expression shows."""
        classes = list(self._leaves(path))
        if not any(_is_spatial(m, self._by_path.get(m.path)) for m in classes):
            return
        for module in classes:
            if not self._takes_images(module.path):
                raise NoPlan

    def _leaves(self, path: str) -> Iterator[Module]:
        for child in self._modules.values():
            if child.path and child.path.rpartition(".")[0] == path:
                one = self._by_path.get(child.path)
                if one is not None and one.switch is SEQUENTIAL:
                    yield from self._leaves(child.path)
                else:
                    yield child


def _is_aware(switch: Switch, spatial: int) -> bool:
    """Whether a switched layer takes channels last, or does not care."""
    if switch.spatial:
        return switch.spatial in (spatial, -1)
    return switch.is_function and not any(a.startswith("axis") for a in switch.arguments)


def _is_spatial(module: Module, one: Applied | None) -> bool:
    return (one is not None and one.switch.spatial != 0) or module.cls.startswith(
        ("torch.nn.modules.conv.", "torch.nn.modules.pooling.", "torch.nn.modules.upsampling.")
    )


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions in it."""
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.Raise)):
            stack.extend(ast.iter_child_nodes(node))


def _is_point(fact: Fact) -> bool:
    """Whether an image always was of one pixel."""
    shapes = fact.get("shapes") or ()
    return bool(shapes) and all(set(shape[2:]) == {1} for shape in shapes)


def _is_builtin(node: ast.Call) -> bool:
    """Calls that hand values on as they are."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in ("append", "extend", "insert", "pop", "get", "items", "values")
    names = ("len", "zip", "enumerate", "list", "tuple", "reversed", "print", "isinstance", "dict")
    return isinstance(node.func, ast.Name) and node.func.id in names


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
