"""Which layers of a source the idiomatic style writes as layers of Flax.

A *switch* is one construction in the source, ``nn.Linear(...)`` at a place, with all modules that it made
in the run. `find` keeps those that the facts allow: the configuration of every module, the tensors
it has, and every use of the module and of its attributes in the files. What remains is proven by the check
like everything else; a switch that does not hold is named in `kept_faithful` of the next draft.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.translate import idiom_attention, idiom_layout, idiom_scan, idiom_sequence
from ferry.translate.idiom_images import Edit, Layout
from ferry.translate.initial import Initial
from ferry.translate.ops import BindError, Bound, Op, bind
from ferry.translate.project import Project, Unit
from ferry.translate.table import layout
from ferry.translate.table.idiom import RECORDS, SEQUENTIAL, Switch, Variable, as_is, by_layer

Json = dict[str, Any]
# what a module may be asked for without knowing its class
_ANY_MODULE = frozenset(["forward", "train", "eval", "to", "float", "double", "cuda", "cpu"])
_SWITCHES = by_layer(RECORDS)
_SWITCHES_LAST = by_layer((*RECORDS, *layout.RECORDS))


@dataclass(frozen=True, eq=False)
class Applied:
    """A switch at one construction: the call, and the paths of the modules that it made."""

    ident: str
    switch: Switch
    unit: Unit
    node: ast.Call
    bound: Bound
    paths: tuple[str, ...]

    def to_json(self) -> Json:
        """As in the result of the step `draft`."""
        return {
            "id": self.ident,
            "from": self.switch.layer.replace("torch.nn.", "nn."),
            "to": self.switch.to,
            "modules": list(self.paths),
        }


@dataclass(frozen=True)
class Read:
    """An attribute of a switched layer in the source: its name in the port, and how it reads."""

    name: str
    variable: Variable | None = None


@dataclass
class Idioms:
    """What the rules of the idiomatic style go by; empty in a faithful port."""

    applied: list[Applied] = field(default_factory=list)
    constructions: dict[ast.AST, Applied] = field(default_factory=dict)
    reads: dict[ast.AST, Read] = field(default_factory=dict)
    listed: set[ast.AST] = field(default_factory=set)
    attends: dict[ast.AST, idiom_attention.Attends] = field(default_factory=dict)
    layout: Layout | None = None
    scans: list[idiom_scan.Scan] = field(default_factory=list)

    def is_last(self, switch: Switch) -> bool:
        """Whether a layer is given its channels on the last axis."""
        return self.layout is not None and switch.spatial in (self.layout.spatial, -1)

    def edit(self, node: ast.AST) -> Edit | None:
        """What the layout changes at a node."""
        return self.layout.edits.get(node) if self.layout is not None else None

    def owner(self, name: str) -> tuple[str, Applied] | None:
        """The switched layer that a tensor belongs to, with its path."""
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            path = ".".join(parts[:end])
            found = self.by_path.get(path)
            if found is not None and found.switch is not SEQUENTIAL:
                return path, found
        return None

    @functools.cached_property
    def by_path(self) -> dict[str, Applied]:
        """The switch of each module."""
        return {path: one for one in self.applied for path in one.paths}

    def to_json(self) -> list[Json]:
        """The switches made, in the order of the source; scans and the layout are of their own."""
        switches = [scan.to_json() for scan in self.scans]
        switches += [one.to_json() for one in self.applied]
        if self.layout is None:
            return switches
        moved = [path for one in self.applied if self.is_last(one.switch) for path in one.paths]
        whole = {"id": idiom_layout.IDENT, "from": "channels on axis 1", "to": "channels last"}
        return [{**whole, "modules": moved}, *switches]


@dataclass(frozen=True)
class Module:
    """One module of the run: its class, its configuration and its tensors by their names in it."""

    path: str
    cls: str
    config: Mapping[str, Any]
    tensors: dict[str, Mapping[str, Any]]


def find(
    project: Project,
    initial: Initial,
    facts: Mapping[str, Any],
    entry: Mapping[str, Any],
    kept: Collection[str],
    scan: bool,
) -> Idioms:
    """The switches that the facts allow, but for those of `kept`; loops become scans where `scan` asks for it."""
    search = _Search(project, initial, facts)
    idioms = None
    if idiom_layout.IDENT not in kept:
        idioms = search.run(frozenset(kept), _SWITCHES_LAST)
        idioms.layout = idiom_layout.plan(project, idioms, search.modules, entry)
    if idioms is None or idioms.layout is None:
        idioms = search.run(frozenset(kept), _SWITCHES)
    if scan:
        idioms.scans = [one for one in search.scans() if _can_scan(idioms, one, kept)]
    return idioms


def _can_scan(idioms: Idioms, scan: idiom_scan.Scan, kept: Collection[str]) -> bool:
    """Whether a scan is wanted, and no other switch changes its loop."""
    changed = any(idioms.edit(node) is not None for node in ast.walk(scan.loop))
    return scan.ident not in kept and not changed


class _Search:
    """Candidates, and rounds of taking away what some use in the source forbids."""

    def __init__(self, project: Project, initial: Initial, facts: Mapping[str, Any]) -> None:
        self._project = project
        self._initial = initial
        self.modules = _modules(facts.get("modules") or [], project.tensors)
        self._sites = list(self._module_sites())

    def run(self, kept: frozenset[str], switches: Mapping[str, tuple[Switch, ...]]) -> Idioms:
        """Candidates less those that conflict with a use, until none does."""
        candidates = [one for one in self._candidates(switches) if one.ident not in kept]
        applied = sorted(
            candidates, key=lambda one: (one.unit.path, one.node.lineno, one.node.col_offset)
        )
        while True:
            idioms = Idioms(applied, {one.node: one for one in applied})
            refused = self._conflicts(idioms)
            if not refused:
                return idioms
            applied = [one for one in applied if one not in refused]

    def scans(self) -> Iterator[idiom_scan.Scan]:
        """The loops over blocks that may be scanned."""
        removed = {node: self._is_removed(unit, node) for unit, node, _ in self._sites}
        return idiom_scan.find(self._project, self._sites, self.modules, removed)

    # --- candidates ---

    def _candidates(self, switches: Mapping[str, tuple[Switch, ...]]) -> Iterator[Applied]:
        barred = self._barred()
        for unit, node, paths in self._sites:
            dotted = unit.names.torch(node.func) if isinstance(node, ast.Call) else None
            if not isinstance(node, ast.Call) or dotted is None or dotted in barred:
                continue
            modules = [self.modules[path] for path in paths]
            if "#" in unit.source.segment(node) and dotted != SEQUENTIAL.layer:
                continue  # the comment would have no place in the new call
            if any(_plain_class(m.cls) != dotted for m in modules):
                continue
            if dotted == SEQUENTIAL.layer and idiom_sequence.holds(
                self._project, unit, node, paths, self.modules
            ):
                yield Applied(_ident(node, unit), SEQUENTIAL, unit, node, Bound(), paths)
                continue
            found = self._fitting(unit, node, switches.get(dotted, ()), modules)
            if found is not None:
                switch, bound = found
                yield Applied(_ident(node, unit), switch, unit, node, bound, paths)

    def _fitting(
        self, unit: Unit, node: ast.Call, switches: Sequence[Switch], modules: Sequence[Module]
    ) -> tuple[Switch, Bound] | None:
        for switch in switches:
            bound = _bound(switch, node)
            if bound is None or not _can_write(unit, switch, bound):
                continue
            if not switch.is_function and unit.source.function_of(node) not in self._project.keyed:
                return None  # no key stream at hand
            holds = all(
                switch.sound(m.config) and set(m.tensors) <= set(switch.variables) for m in modules
            )
            return (switch, bound) if holds else None
        return None

    def _barred(self) -> set[str]:
        """Layers that are asked for by class, or that came about by copying."""
        found: set[str] = set()
        for unit in self._project.units.values():
            for node in ast.walk(unit.source.tree):
                parent = unit.source.parents.get(node)
                dotted = (
                    unit.names.torch(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
                )
                if dotted and self._asks_for_class(unit, node, parent):
                    found.add(dotted)
        made = {
            path for _, node, paths in self._sites if isinstance(node, ast.Call) for path in paths
        }
        for module in self.modules.values():
            parent_class = self.modules[module.path.rpartition(".")[0]].cls if module.path else ""
            of_torch = parent_class.startswith("torch.nn.") and ".container." not in parent_class
            if module.path not in made and not of_torch:
                found.add(_plain_class(module.cls))
        return found

    def _asks_for_class(self, unit: Unit, node: ast.AST, parent: ast.AST | None) -> bool:
        if self._is_removed(unit, node):
            return False
        if isinstance(parent, ast.Tuple):
            parent = unit.source.parents.get(parent)
        asks = isinstance(parent, ast.Call) and ast.unparse(parent.func) in (
            "isinstance",
            "issubclass",
        )
        return asks or isinstance(parent, ast.Compare)

    # --- uses ---

    def _module_sites(self) -> Iterator[tuple[Unit, ast.AST, tuple[str, ...]]]:
        """Every expression that was a module of the model, in the order of the source."""
        for unit in self._project.units.values():
            for node in ast.walk(unit.source.tree):
                paths = (unit.facts.of(node) or {}).get("modules")
                if paths and isinstance(node, ast.expr):
                    yield unit, node, tuple(paths)

    def _conflicts(self, idioms: Idioms) -> set[Applied]:
        """Switches that a use forbids; on the way the uses that stay are noted in `idioms`."""
        by_path = idioms.by_path
        refused: set[Applied] = set(self._untied(idioms))
        for unit, node, paths in self._sites:
            switched = [by_path.get(path) for path in paths]
            if any(switched) and not self._is_removed(unit, node):
                refused |= self._use(idioms, unit, node, switched)
        return refused

    def _use(
        self, idioms: Idioms, unit: Unit, node: ast.AST, switched: Sequence[Applied | None]
    ) -> set[Applied]:
        """The switches that one use of a module forbids."""
        made = {one for one in switched if one is not None}
        parent = unit.source.parents[node]
        switches = {None if one is None else one.switch for one in switched}
        if SEQUENTIAL in switches:
            use = idiom_sequence.use(node, parent)
            if use is idiom_sequence.Use.LISTED and switches == {SEQUENTIAL}:
                idioms.listed.add(node)
            return set() if use is idiom_sequence.Use.CALLED or node in idioms.listed else made
        if isinstance(parent, ast.Attribute) and parent.value is node:
            return self._attribute(idioms, unit, parent, switched)
        if not isinstance(parent, ast.Call) or parent.func is not node:
            return set()
        if any(one.switch.layer == idiom_attention.LAYER for one in made):
            attends = idiom_attention.read(unit, parent) if len(switches) == 1 else None
            if attends is None:
                return made
            idioms.attends[parent] = attends
        return set()

    def _attribute(
        self, idioms: Idioms, unit: Unit, node: ast.Attribute, switched: Sequence[Applied | None]
    ) -> set[Applied]:
        """The switches that an access to an attribute of a module forbids."""
        made = {one for one in switched if one is not None}
        if node.attr in _ANY_MODULE:
            return set()
        reads = {None if one is None else _read(one.switch, node.attr) for one in switched}
        read = next(iter(reads))
        if len(reads) > 1 or read is None:
            return made
        idioms.reads[node] = read
        return made if _shares_unlike(idioms, unit, node, read) else set()

    def _untied(self, idioms: Idioms) -> Iterator[Applied]:
        """Switches of tensors that are tied to one that the port holds in another form."""
        groups: dict[int, list[str]] = {}
        for tensor in self._project.tensors:
            groups.setdefault(tensor["storage"], []).append(tensor["name"])
        for names in groups.values():
            owners = [(name, idioms.owner(name)) for name in names]
            forms = [
                None if o is None else _variable(o[1].switch, n[len(o[0]) + 1 :]) for n, o in owners
            ]
            makers = {as_is if form is None else form.ops for form in forms}
            if len(makers) > 1:
                for (_, owner), form in zip(owners, forms, strict=True):
                    if owner is not None and form is not None and form.ops is not as_is:
                        yield owner[1]

    def _is_removed(self, unit: Unit, node: ast.AST) -> bool:
        """Whether a node is in code that only sets initial values, which the port does without."""
        for scope in unit.source.ancestors(node):
            if isinstance(scope, ast.FunctionDef) and self._initial.function(unit, scope):
                return True
            inside = unit.source.function_of(scope) is not None
            if isinstance(scope, ast.stmt) and inside and self._initial.statement(unit, scope):
                return True
        return False


def _modules(
    facts: Iterable[Mapping[str, Any]], tensors: Iterable[Mapping[str, Any]]
) -> dict[str, Module]:
    """The modules of the run by path."""
    found = {m["path"]: Module(m["path"], m["class"], m.get("config") or {}, {}) for m in facts}
    for tensor in tensors:
        parts = tensor["name"].split(".")
        for end in range(len(parts)):
            module = found.get(".".join(parts[:end]))
            if module is not None:
                module.tensors[".".join(parts[end:])] = tensor
    return found


def _plain_class(dotted: str) -> str:
    """torch's public name of a layer's class."""
    module, _, name = dotted.rpartition(".")
    return f"torch.nn.{name}" if module.startswith("torch.nn.modules.") else dotted


def _ident(node: ast.Call, unit: Unit) -> str:
    """The stable name of a construction: its file, line and column."""
    return f"{unit.path}:{node.lineno}:{node.col_offset + 1}"


def _bound(switch: Switch, node: ast.Call) -> Bound | None:
    """The call's arguments by name, where this form of the switch takes them."""
    try:
        bound = bind(Op("", switch.params, ""), None, node)
    except BindError:
        return None
    if switch.when.startswith("!"):
        return None if bound.given(switch.when[1:]) else bound
    return bound if not switch.when or bound.given(switch.when) else None


def _can_write(unit: Unit, switch: Switch, bound: Bound) -> bool:
    """Whether every argument can be written in the form that the Flax layer takes."""
    kinds = {p.name: p.kind for p in Op("", switch.params, "").parameters()}
    return all(_can_convert(unit, kinds[name], value) for name, value in bound.values.items())


def _can_convert(unit: Unit, kind: str, value: ast.expr) -> bool:
    literal = isinstance(value, ast.Constant)
    sequence = isinstance(value, (ast.Tuple, ast.List))
    known = unit.facts.kinds(value)
    if kind == "single":
        return (sequence and len(value.elts) == 1) or literal or known == {"int"}  # type: ignore[attr-defined]
    if kind == "pairs":
        return literal or sequence or known == {"int"}
    if kind in ("sizes", "tuple", "padding"):
        return literal or sequence or known in ({"int"}, {"tuple"})
    return True


def _variable(switch: Switch, name: str) -> Variable | None:
    """The one variable that a tensor of the layer becomes."""
    variables = switch.variables.get(name, ())
    return variables[0] if len(variables) == 1 else None


def _read(switch: Switch, name: str) -> Read | None:
    variable = _variable(switch, name)
    if variable is not None:
        return Read(variable.path, variable)
    return Read(switch.attributes[name]) if name in switch.attributes else None


def _shares_unlike(idioms: Idioms, unit: Unit, node: ast.Attribute, read: Read) -> bool:
    """Whether a variable is shared by assignment with one that holds its numbers otherwise."""
    statement = unit.source.parents[node]
    plain = read.variable is None or read.variable.ops is as_is
    if not isinstance(statement, ast.Assign):
        return not isinstance(node.ctx, ast.Load)
    if isinstance(node.ctx, ast.Load) and statement.value is not node:
        return False
    others = [*statement.targets, statement.value]
    partners = [o for o in others if o is not node]
    if not all(isinstance(o, ast.Attribute) for o in partners):
        return not plain or not isinstance(node.ctx, ast.Load)
    forms = {(idioms.reads[o].variable if o in idioms.reads else None) for o in partners}
    return not plain and forms != {read.variable}
