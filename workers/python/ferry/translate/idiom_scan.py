"""When the blocks of an ``nn.ModuleList`` may become one block with stacked parameters under `nnx.scan`.

A list of ``n`` blocks that are built alike and called one after the other,

    self.blocks = nn.ModuleList([Block(dim) for _ in range(n)])
    ...
    for block in self.blocks:
        x = block(x)

is in the port one `Block` whose variables have a leading axis of ``n``, made under `nnx.vmap` and called
under `nnx.scan`: it is compiled once and not ``n`` times. That is the same only where nothing tells the
blocks apart: they have equal configurations and tensors of equal shapes, none of them shared; the list is
used by that one loop; a block hands on what it took, of one shape and dtype; and nothing in it draws
random numbers or keeps state in an attribute, which a scan would order otherwise.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ferry.files import module_name
from ferry.translate.project import Project, Unit

Json = dict[str, Any]
LIST = "torch.nn.ModuleList"
FEWEST = 2


class Part(Protocol):
    """A module of the run."""

    @property
    def path(self) -> str:
        """Its place in the model."""

    @property
    def cls(self) -> str:
        """The dotted name of its class."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its plain attributes."""

    @property
    def tensors(self) -> dict[str, Mapping[str, Any]]:
        """Its parameters and buffers by their names in it."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One list of blocks: where it is made, and the loop that calls them."""

    ident: str
    unit: Unit
    made: ast.Assign
    block: ast.Call
    count: ast.expr
    loop: ast.For
    path: str
    number: int

    @property
    def call(self) -> ast.Call:
        """The call of a block in the loop."""
        (statement,) = self.loop.body
        assert isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)
        return statement.value

    @property
    def variable(self) -> str:
        """The loop's name for a block."""
        assert isinstance(self.loop.target, ast.Name)
        return self.loop.target.id

    def to_json(self) -> Json:
        """As in the result of the step `draft`."""
        blocks = [f"{self.path}.{index}" for index in range(self.number)]
        return {
            "id": self.ident,
            "from": "a loop over blocks",
            "to": "nnx.scan",
            "modules": [self.path, *blocks],
        }


Site = tuple[Unit, ast.AST, tuple[str, ...]]


def find(
    project: Project,
    sites: Sequence[Site],
    modules: Mapping[str, Part],
    removed: Mapping[ast.AST, bool],
) -> Iterator[Scan]:
    """The lists that may be scanned. `sites` are all expressions that were modules in the run; `removed`
    says which of them the port does without."""
    for unit, node, paths in sites:
        if not isinstance(node, ast.Call) or unit.names.torch(node.func) != LIST or len(paths) != 1:
            continue
        made, block, count = _built(project, unit, node)
        number = sum(p.rpartition(".")[0] == paths[0] for p in modules)
        if made is None or block is None or count is None or number < FEWEST:
            continue
        loop = _only_loop(project, sites, paths[0], node, removed)
        if loop is None or not _alike(modules, paths[0], number):
            continue
        owners = {m.cls for m in modules.values() if m.path.startswith(f"{paths[0]}.")}
        if _keeps_nothing(project, owners) and _hands_on(unit, loop):
            ident = f"{unit.path}:{node.lineno}:{node.col_offset + 1}:scan"
            yield Scan(ident, unit, made, block, count, loop, paths[0], number)


def _built(
    project: Project, unit: Unit, node: ast.Call
) -> tuple[ast.Assign | None, ast.Call | None, ast.expr | None]:
    """``self.blocks = nn.ModuleList([Block(…) for _ in range(n)])``: the statement, the block, n."""
    nothing = (None, None, None)
    statement = unit.source.parents[node]
    blocks = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if not isinstance(statement, ast.Assign) or not isinstance(
        blocks, (ast.ListComp, ast.GeneratorExp)
    ):
        return nothing
    if len(statement.targets) != 1 or not isinstance(statement.targets[0], ast.Attribute):
        return nothing
    block, each = blocks.elt, blocks.generators[0]
    counted = isinstance(each.iter, ast.Call) and ast.unparse(each.iter.func) == "range"
    if (
        len(blocks.generators) != 1
        or each.ifs
        or not counted
        or not isinstance(each.target, ast.Name)
    ):
        return nothing
    numbers = each.iter.args if isinstance(each.iter, ast.Call) else []
    target = project.target(unit, block.func) if isinstance(block, ast.Call) else None
    if len(numbers) != 1 or target is None or target.node not in project.module_classes:
        return nothing
    if each.target.id in _names(block) or "#" in unit.source.segment(statement):
        return nothing
    function = unit.source.function_of(node)
    assert isinstance(block, ast.Call)
    return (statement, block, numbers[0]) if function in project.keyed else nothing


def _only_loop(
    project: Project,
    sites: Sequence[Site],
    path: str,
    made: ast.Call,
    removed: Mapping[ast.AST, bool],
) -> ast.For | None:
    """The one loop over a list that has no other use, nor have its blocks by themselves."""
    loops: list[ast.For] = []
    for unit, node, paths in sites:
        inside = [p for p in paths if p == path or p.rpartition(".")[0] == path]
        if not inside or removed[node] or node is made or made in unit.source.ancestors(node):
            continue
        parent = unit.source.parents[node]
        if isinstance(parent, ast.For) and parent.iter is node and len(paths) == 1:
            loops.append(parent)
        elif not _is_in_turn(unit, node) and not _is_self(project, unit, node):
            return None
    return loops[0] if len(loops) == 1 and not loops[0].orelse else None


def _is_in_turn(unit: Unit, node: ast.AST) -> bool:
    """Whether an expression is the loop's own name for the block, where it is called."""
    parent = unit.source.parents[node]
    if not isinstance(node, ast.Name):
        return False
    if isinstance(parent, ast.For):
        return parent.target is node
    loop = next((a for a in unit.source.ancestors(node) if isinstance(a, ast.For)), None)
    called = isinstance(parent, ast.Call) and parent.func is node
    return called and loop is not None and ast.unparse(loop.target) == node.id


def _is_self(project: Project, unit: Unit, node: ast.AST) -> bool:
    """Whether an expression is ``self`` in a method of the block."""
    function = unit.source.function_of(node)
    name = project.self_name(unit, function) if function is not None else None
    return isinstance(node, ast.Name) and node.id == name


def _hands_on(unit: Unit, loop: ast.For) -> bool:
    """Whether the loop's body is ``x = block(x, …)`` with the rest of the arguments the same each time."""
    statement = loop.body[0]
    if (
        len(loop.body) != 1
        or not isinstance(loop.target, ast.Name)
        or "#" in unit.source.segment(loop)
    ):
        return False
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return False
    call, targets = statement.value, statement.targets
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or not call.args:
        return False
    name, first = targets[0].id, call.args[0]
    if (
        not isinstance(first, ast.Name)
        or first.id != name
        or ast.unparse(call.func) != loop.target.id
    ):
        return False
    rest = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    if any(not isinstance(value, (ast.Name, ast.Constant)) for value in rest):
        return False
    if {name, loop.target.id} & {n for value in rest for n in _names(value)}:
        return False
    taken, given = unit.facts.of(first), unit.facts.of(call)
    if taken is None or given is None or taken["kind"] != "tensor":
        return False
    return all(taken.get(field) == given.get(field) for field in ("kind", "dtype", "shapes"))


def _alike(modules: Mapping[str, Part], path: str, number: int) -> bool:
    """Whether the blocks differ in nothing but their numbers, share nothing, and draw nothing."""
    blocks = [modules.get(f"{path}.{index}") for index in range(number)]
    first = blocks[0]
    if first is None or any(block is None for block in blocks):
        return False
    looks = [_look(modules, block) for block in blocks if block is not None]
    tensors = [t for block in blocks if block is not None for t in block.tensors.values()]
    shared = len({t["storage"] for t in tensors}) < len(tensors)
    others = (t for t in modules[""].tensors.values() if not t["name"].startswith(f"{path}."))
    outside = {t["storage"] for t in others} & {t["storage"] for t in tensors}
    scalars = any(not t["shape"] for t in tensors)
    inside = (m for m in modules.values() if m.path.startswith(f"{path}."))
    if shared or outside or scalars or any(_draws(m) for m in inside):
        return False
    return all(look == looks[0] for look in looks)


def _look(modules: Mapping[str, Part], block: Part) -> tuple[object, ...]:
    """All that the run says of a block, but for the numbers in its tensors."""
    inside = [m for m in modules.values() if m is block or m.path.startswith(f"{block.path}.")]
    parts = sorted(
        (m.path[len(block.path) :], m.cls, repr(sorted(m.config.items()))) for m in inside
    )
    tensors = sorted(
        (name, t["kind"], str(t["dtype"]), tuple(t["shape"])) for name, t in block.tensors.items()
    )
    return (*parts, *tensors)


def _draws(module: Part) -> bool:
    """Whether a layer of torch draws random numbers in train mode."""
    rates = [module.config.get(name) for name in ("p", "dropout")]
    name = module.cls.rpartition(".")[2]
    drops = module.cls.startswith("torch.nn.") and ("Dropout" in name or "dropout" in module.config)
    return name == "RReLU" or (drops and any(rate not in (None, 0, 0.0) for rate in rates))


def _keeps_nothing(project: Project, classes: set[str]) -> bool:
    """Whether the source's classes among `classes` neither draw nor assign attributes once they are built."""
    for dotted in classes:
        module, _, name = dotted.rpartition(".")
        unit = project.modules.get(module)
        owner = unit.top.get(name) if unit is not None else None
        if not isinstance(owner, ast.ClassDef):
            if dotted.startswith("torch.nn."):
                continue
            return False
        if not all(_is_still(project, cls) for cls in project.lineage(owner)):
            return False
    return True


def _is_still(project: Project, owner: ast.ClassDef) -> bool:
    unit = project.unit_of(owner)
    for node in ast.walk(owner):
        function = unit.source.function_of(node)
        built = project.is_constructor(function)
        assigns = isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        draws = isinstance(node, ast.Call) and project.draws(unit, node)
        if (assigns and not built) or draws:
            return False
    return module_name(unit.path) + "." + owner.name not in project.stream_owners


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
