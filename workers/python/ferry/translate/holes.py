"""Holes: what refused constructs leave in a port, so that all else in it can be used.

The body of the function around a refused construct gives way to an error that names the
construct. Where the function's own head was refused, the whole function does, and where a class
was, the class. A statement outside of all functions is left out, and what reads the names that it
would have bound is a hole too. Each hole tells what goes in and out, as the run of the source
showed it, so that whoever fills it knows the types.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferry.translate.facts import Fact
from ferry.translate.project import Project, Unit
from ferry.translate.source import is_docstring, parameters
from ferry.translate.translator import REMOVED, Refusal

Json = dict[str, Any]
Definition = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class _Site:
    """What may be given up: a statement, or with `inside` only a function's body."""

    node: ast.stmt
    inside: bool = False


@dataclass(frozen=True)
class Hole:
    """A function, class or statement that a port lacks, and the refusal that made it so."""

    unit: Unit
    site: _Site
    refusal: Refusal

    def to_json(self) -> Json:
        """The *hole* of docs/steps.md, section 6."""
        node = self.site.node
        owner = self.unit.source.class_of(node)
        cls = node if isinstance(node, ast.ClassDef) else owner
        function = node if isinstance(node, DEFINITIONS) else None
        name = str(node.lineno)
        if isinstance(node, (*DEFINITIONS, ast.ClassDef)):
            name = f"{owner.name}.{node.name}" if owner is not None else node.name
        refusal = self.refusal.to_json()
        called = _forward(node) if isinstance(node, ast.ClassDef) else function
        return {
            "id": f"{self.unit.path}:{name}",
            "file": self.unit.path,
            "line": refusal["line"],
            "lines": [node.lineno, node.end_lineno],
            "class": cls.name if cls is not None else None,
            "function": function.name if function is not None else None,
            "text": refusal["text"],
            "why": refusal["why"],
            "inputs": _inputs(self.unit, called) if called is not None else [],
            "outputs": _outputs(self.unit, called) if called is not None else [],
        }


class Holes:
    """The holes of one source; `texts` says what stands in the place of each statement."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._holes: dict[_Site, Hole] = {}
        self.texts: dict[ast.AST, str] = {}

    def dig(self, refusals: Sequence[Refusal]) -> bool:
        """Make room for what was refused; False where nothing more can be given up.

        A construct that is refused again although its function is a hole already takes what is
        around that with it.
        """
        before = frozenset(self._holes)
        for refusal in refusals:
            if refusal.at is not None:
                unit = self._project.units[refusal.file]
                self._give_up(unit, refusal.at, refusal, before)
        return len(self._holes) > len(before)

    def to_json(self) -> list[Json]:
        """The `holes` of the step's result, in the order of the files; none inside another."""
        outer = [h for h in self._holes.values() if not self._is_covered(h)]
        found: dict[str, Json] = {}
        for hole in sorted(outer, key=lambda h: (h.unit.path, h.site.node.lineno)):
            shown = hole.to_json()
            if shown["id"] in found:
                shown["id"] += f":{hole.site.node.lineno}"
            found[shown["id"]] = shown
        return list(found.values())

    def _give_up(self, unit: Unit, at: ast.AST, refusal: Refusal, before: frozenset[_Site]) -> None:
        site = next((s for s in _sites(unit, at) if s not in before), None)
        if site is None or site in self._holes:
            return
        self._holes[site] = Hole(unit, site, refusal)
        self.texts |= _replaced(unit, site, refusal)
        for reader in _readers(unit, site.node):
            self._give_up(unit, reader, refusal, before)

    def _is_covered(self, hole: Hole) -> bool:
        """Whether a hole is a part of a larger one."""
        around = [*hole.unit.source.ancestors(hole.site.node)]
        around += [hole.site.node] if hole.site.inside else []
        return any(isinstance(a, ast.stmt) and _Site(a) in self._holes for a in around)


# --- what gives way ---


def _sites(unit: Unit, at: ast.AST) -> Iterator[_Site]:
    """What can be given up for a construct, the least first."""
    line = [at, *unit.source.ancestors(at)]
    functions = [n for n in line if isinstance(n, DEFINITIONS)]
    classes = [n for n in line if isinstance(n, ast.ClassDef)]
    if functions:
        if functions[-1] is not at:
            yield _Site(functions[-1], inside=True)
        yield _Site(functions[-1])
    elif isinstance(at, ast.stmt) and not isinstance(at, ast.ClassDef):
        yield _Site(at)
    if classes:
        yield _Site(classes[-1])


def _replaced(unit: Unit, site: _Site, refusal: Refusal) -> Mapping[ast.AST, str]:
    """The new texts of the statements of a hole."""
    node = site.node
    indent = unit.source.indent(node)
    said = json.dumps(f"{refusal.file}:{refusal.line}: {refusal.why}", ensure_ascii=False)
    raised = f"raise NotImplementedError({said})"
    if isinstance(node, ast.ClassDef):
        inner = f"{indent}    "
        return {
            node: f"class {node.name}(nnx.Module):\n{inner}{_stub('__init__', 'self, ', raised, inner)}"
        }
    if not isinstance(node, DEFINITIONS):
        return {node: REMOVED}
    body = node.body[1:] if is_docstring(node.body[0]) else node.body
    if site.inside and body:
        return {**dict.fromkeys(body, REMOVED), body[0]: raised}
    method = isinstance(unit.source.parents[node], ast.ClassDef)
    name = "__call__" if method and node.name == "forward" else node.name
    return {node: _stub(name, "self, " if method else "", raised, indent)}


def _stub(name: str, first: str, raised: str, indent: str) -> str:
    """A definition that takes anything and raises."""
    return f"def {name}({first}*args, **kwargs):\n{indent}    {raised}"


def _readers(unit: Unit, node: ast.stmt) -> Iterator[ast.stmt]:
    """Statements that a name is missing for when a statement of the module is left out.

    In functions that never ran it is not missed.
    """
    tree = unit.source.tree
    if isinstance(node, (*DEFINITIONS, ast.ClassDef)) or unit.source.parents[node] is not tree:
        return
    bound = {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    aliases = [
        a for n in ast.walk(node) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names
    ]
    bound |= {(a.asname or a.name).partition(".")[0] for a in aliases}
    for other in ast.walk(tree):
        if not isinstance(other, ast.Name) or other.id not in bound or other.id == "*":
            continue
        if isinstance(other.ctx, ast.Load) and not unit.source.is_local(other, other.id):
            function = unit.source.function_of(other)
            if function is None or unit.facts.of(other) is not None:
                yield unit.source.statement_of(other)


# --- what goes in and out ---


def _forward(node: ast.ClassDef) -> Definition | None:
    """The class's own forward."""
    return next((n for n in node.body if isinstance(n, DEFINITIONS) and n.name == "forward"), None)


def _inputs(unit: Unit, function: Definition) -> list[Json]:
    """The parameters with what they were when first read."""
    found = []
    for position, arg in enumerate(parameters(function)):
        if position == 0 and _is_bound(unit, function):
            continue
        reads = [
            n
            for n in ast.walk(function)
            if isinstance(n, ast.Name) and n.id == arg.arg and isinstance(n.ctx, ast.Load)
        ]
        reads.sort(key=lambda n: (n.lineno, n.col_offset))
        facts = [f for f in map(unit.facts.of, reads) if f is not None]
        found.append({"name": arg.arg, **_typed(facts[0] if facts else None)})
    return found


def _is_bound(unit: Unit, function: Definition) -> bool:
    """Whether a function's first parameter is its object or class."""
    static = any(
        isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list
    )
    return isinstance(unit.source.parents[function], ast.ClassDef) and not static


def _outputs(unit: Unit, function: Definition) -> list[Json]:
    """What the first ``return`` that ran gave; the items of a tuple one by one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            fact = unit.facts.of(node.value)
            if unit.source.function_of(node) is function and fact is not None:
                return [_typed(f) for f in fact.get("items") or [fact]]
    return []


def _typed(fact: Fact | None) -> Json:
    """Kind, dtype and shape; an axis whose size varied is null, and so is what is not known."""
    shapes = (fact or {}).get("shapes") or []
    shape = None
    if shapes and len({len(s) for s in shapes}) == 1:
        shape = [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]
    return {
        "kind": fact["kind"] if fact is not None else None,
        "dtype": fact.get("dtype") if fact is not None else None,
        "shape": shape,
    }
