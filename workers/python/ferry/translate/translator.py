"""The translation of one file: its state, and the dispatch over node types.

`FileTranslator.render(node)` gives a node's new text. A rule for the node's type may give
it whole; otherwise the original text is kept and only the text of the children changes.
A statement rule may return `REMOVED`; then its lines go, with a ``pass`` where a block
would be left empty.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ferry.translate import detached, library, tidy
from ferry.translate.advice import advised
from ferry.translate.idiom import Idioms
from ferry.translate.initial import Initial
from ferry.translate.names import canonical, is_torch
from ferry.translate.ops import operand
from ferry.translate.project import Project, Unit
from ferry.translate.source import (
    Function,
    is_function,
    parameters,
    positioned_children,
)
from ferry.translate.table import OPERATIONS

REMOVED = "\0removed\0"
Rule = Callable[["FileTranslator", Any], str | None]


class Refused(Exception):
    """A construct that is not translated; caught at its statement."""

    def __init__(self, node: ast.AST, code: str, why: str) -> None:
        super().__init__(why)
        self.node = node
        self.code = code
        self.why = why


@dataclass(frozen=True)
class Refusal:
    """A construct that stands in the way, by code and place."""

    code: str
    file: str
    line: int
    text: str
    why: str
    at: ast.AST | None = field(default=None, compare=False)  # the statement that was given up

    def to_json(self) -> dict[str, Any]:
        """As in the step's result."""
        return {
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "text": self.text,
            "why": advised(self.code, self.why),
        }


class Renames:
    """The spelling of prelude definitions in the output, one for all files."""

    def __init__(self, project: Project) -> None:
        taken: set[str] = set()
        for unit in project.units.values():
            for node in ast.walk(unit.source.tree):
                taken.update(_binds(unit, node))
        self._taken = taken

    def spelling(self, name: str) -> str:
        """The name itself, or one that the source does not bind anywhere."""
        if name not in self._taken:
            return name
        new = f"Torch{name}" if name[0].isupper() else f"torch_{name}"
        while new in self._taken:
            new += "_"
        return new


def _binds(unit: Unit, node: ast.AST) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        names = (
            {node.name}
            if not unit.source.class_of(node)
            or not isinstance(unit.source.parents[node], ast.ClassDef)
            else set()
        )
        return names | ({a.arg for a in parameters(node)} if is_function(node) else set())
    if isinstance(node, ast.Lambda):
        return {a.arg for a in parameters(node)}
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return {node.id}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {
            local
            for local in ((a.asname or a.name).split(".")[0] for a in node.names)
            if not is_torch(canonical(unit.names.imports.get(local) or ""))
        }
    return set()


class FileTranslator:
    """One file on its way from torch to jax."""

    def __init__(
        self,
        project: Project,
        unit: Unit,
        renames: Renames,
        initial: Initial,
        rules: Mapping[type[ast.AST], tuple[Rule, ...]],
        idioms: Idioms,
        holes: Mapping[ast.AST, str],
    ) -> None:
        """`holes` has the new texts of statements that are given up."""
        self.idioms = idioms
        self._holes = holes
        self.project = project
        self.unit = unit
        self.source = unit.source
        self.names = unit.names
        self.facts = unit.facts
        self.renames = renames
        self.initial = initial
        self.library = library.load()
        self.prelude: set[str] = set()
        self.refusals: list[Refusal] = []
        self.assumptions: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.current: ast.AST = unit.source.tree
        self.detached = ""
        self._rules = rules
        self._kinds: dict[ast.AST, frozenset[str]] = {}

    # --- rendering ---

    def render(self, node: ast.AST) -> str:
        """The node's new text (see the module's text)."""
        if not isinstance(node, ast.stmt):
            return self._render_by_rules(node)
        if node in self._holes:
            return self._holes[node]
        self.current = node
        mark = len(self.refusals)
        try:
            text = self._render_by_rules(node)
            if self.detached and text != REMOVED:
                text = detached.hold(self, node, text)
        except Refused as refused:
            self.add_refusal(refused.node, refused.code, refused.why, node)
            text = self.source.segment(node)
        return self._forgive(node, text, mark)

    def _render_by_rules(self, node: ast.AST) -> str:
        edit = self.idioms.edit(node)
        if edit is None:
            return self._render_plain(node)
        plain = self.render(edit.of) if edit.of is not None else self._render_plain(node)
        return edit.text.replace("{}", "" if plain == REMOVED else plain).rstrip()

    def _render_plain(self, node: ast.AST) -> str:
        for rule in self._rules.get(type(node), ()):
            text = rule(self, node)
            if text is not None:
                return text
        return self.keep(node)

    def keep(self, node: ast.AST, replace: Mapping[ast.AST, str] | None = None) -> str:
        """The node's text with its children rendered, or replaced by given texts."""
        start, end = self.source.span(node)
        if isinstance(node, ast.JoinedStr):
            return self.source.text[start:end]
        if isinstance(node, ast.Attribute) and node in self.idioms.reads:
            return f"{self.render(node.value)}.{self.idioms.reads[node].name}"
        return self.splice(start, end, positioned_children(node), replace or {})

    def splice(
        self, start: int, end: int, children: list[ast.AST], replace: Mapping[ast.AST, str]
    ) -> str:
        """The text of a range with the given nodes in it rendered or replaced."""
        pieces: list[str] = []
        at = start
        emptied = _emptied_blocks(self, children, replace)
        for child, text in emptied:
            first, last = self.source.span(child)
            if text == REMOVED and isinstance(child, ast.stmt):
                lines = self.source.removal(child)
                if lines is None:
                    text = "pass"
                else:
                    first, last = max(lines[0], at), min(lines[1], end)
                    text = self.source.indent(child) + tidy.GAP + "\n" * (last == lines[1])
            if first < at:
                continue
            pieces += [self.source.text[at:first], text]
            at = last
        pieces.append(self.source.text[at:end])
        return "".join(pieces)

    def operand(self, node: ast.expr) -> str:
        """The node's new text, in parentheses where it is not an atom."""
        return operand(self.render(node))

    def use(self, name: str) -> str:
        """Take a prelude definition into the output; gives its spelling there."""
        self.prelude.add(name)
        return self.renames.spelling(name)

    # --- refusals ---

    def refuse(self, node: ast.AST, why: str) -> NoReturn:
        """Give a statement up as a construct that is not supported."""
        raise Refused(node, "unsupported_construct", why)

    def add_refusal(self, node: ast.AST, code: str, why: str, at: ast.AST) -> None:
        """Record that a construct stands in the way, and the statement given up for it."""
        line = getattr(node, "lineno", 1)
        refusal = Refusal(code, self.unit.path, line, self.source.line_text(line), why, at)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def assume(self, code: str, text: str, node: ast.AST) -> None:
        """Record an assumption with its place."""
        entry = {
            "code": code,
            "text": text,
            "file": self.unit.path,
            "line": getattr(node, "lineno", 1),
        }
        if entry not in self.assumptions:
            self.assumptions.append(entry)

    def _forgive(self, node: ast.stmt, text: str, mark: int) -> str:
        """A definition that never ran is left out rather than refused."""
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if len(self.refusals) == mark or not isinstance(node, definitions) or self.ever_ran(node):
            return text
        if self.project.is_gradient_rule(self.source.parents.get(node)):
            return text
        first = self.refusals[mark]
        del self.refusals[mark:]
        self.assume("left_out", f"{node.name} never ran and is left out: {first.why}", node)
        return REMOVED

    def ever_ran(self, node: ast.AST) -> bool:
        """Whether the run of the source entered a definition or anything inside it."""
        return any(
            (is_function(n) and not isinstance(n, ast.Lambda) and self.facts.ran(n))
            or self.facts.of(n) is not None
            for n in ast.walk(node)
        )

    # --- kinds ---

    def kinds(self, node: ast.AST) -> frozenset[str]:
        """Kinds of value an expression had, from facts or else from its form."""
        known = self.facts.kinds(node)
        if known:
            return known
        if node not in self._kinds:
            self._kinds[node] = frozenset()
            self._kinds[node] = self._infer(node)
        return self._kinds[node]

    def is_tensor(self, node: ast.AST) -> bool:
        """Whether an expression is a tensor whenever it is not None."""
        kinds = self.kinds(node)
        return "tensor" in kinds and kinds <= {"tensor", "none"}

    def is_variable(self, node: ast.expr) -> bool:
        """Whether an attribute holds an nnx Variable: a parameter, a buffer, a plain tensor."""
        if not isinstance(node, ast.Attribute) or node.attr not in self.project.tensor_kinds:
            return False
        return "module" in self.kinds(node.value)

    def _infer(self, node: ast.AST) -> frozenset[str]:
        if isinstance(node, ast.Constant):
            name = "none" if node.value is None else type(node.value).__name__
            return frozenset([name])
        simple = {ast.Tuple: "tuple", ast.List: "list", ast.Dict: "dict", ast.JoinedStr: "str"}
        if type(node) in simple:
            return frozenset([simple[type(node)]])
        if isinstance(node, ast.Name):
            return self._infer_name(node)
        if isinstance(node, ast.Call):
            return self._infer_call(node)
        if isinstance(node, (ast.BinOp, ast.Compare, ast.UnaryOp, ast.Subscript, ast.IfExp)):
            return self._infer_operation(node)
        if isinstance(node, ast.Attribute):
            return self._infer_attribute(node)
        return frozenset()

    def _infer_name(self, node: ast.Name) -> frozenset[str]:
        function = self.source.function_of(node)
        if function is None:
            return frozenset()
        if node.id == self.project.self_name(self.unit, function):
            return frozenset(["module"])
        found: set[str] = set()
        for other in ast.walk(function):
            if isinstance(other, ast.Name) and other.id == node.id:
                found |= self.facts.kinds(other)
        if not found:
            found = self._infer_definition(function, node.id)
        return frozenset(found)

    def _infer_definition(self, function: Function, name: str) -> set[str]:
        if self.project.is_gradient_rule(self.source.parents.get(function)):
            return self._infer_in_rule(function, name)
        for arg in parameters(function):
            if arg.arg == name and arg.annotation is not None:
                dotted = self.names.torch(arg.annotation)
                return {"tensor"} if dotted == "torch.Tensor" else set()
        found: set[str] = set()
        for other in ast.walk(function):
            if isinstance(other, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == name for t in other.targets
            ):
                found |= self.kinds(other.value)
            elif isinstance(other, ast.Assign) and isinstance(other.value, ast.Call):
                found |= self._infer_unpacked(other, other.value, name)
        return found

    def _infer_unpacked(self, node: ast.Assign, call: ast.Call, name: str) -> set[str]:
        """A name in ``a, b = f(x)``: an operation of torch, or a method whose returns are seen."""
        target = node.targets[0]
        names = [ast.unparse(e) for e in target.elts] if isinstance(target, ast.Tuple) else []
        if name not in names:
            return set()
        if self.names.torch(call.func) or self.is_tensor(call):
            return {"tensor"}
        method = self.project.callee(self.unit, call) or self._forward_of(call)
        found: set[str] = set()
        for inner in ast.walk(method) if method is not None else ():
            if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Tuple):
                parts = inner.value.elts
                if len(parts) == len(names):
                    found |= self.kinds(parts[names.index(name)])
        return found

    def _forward_of(self, call: ast.Call) -> ast.AST | None:
        """The forward that ``self(x)`` runs."""
        owner = self.module_class(call)
        is_self = isinstance(call.func, ast.Name) and call.func.id == "self"
        return self.project.method(owner, "forward") if owner is not None and is_self else None

    def _infer_in_rule(self, function: Function, name: str) -> set[str]:
        """Names in the backward of an autograd function: its gradients, what it saved."""
        if name in [a.arg for a in parameters(function)[1:]]:
            return {"tensor"}
        found: set[str] = set()
        for other in ast.walk(function):
            if not isinstance(other, ast.Assign):
                continue
            saved = isinstance(other.value, ast.Attribute) and other.value.attr == "saved_tensors"
            for target in other.targets:
                parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
                if any(isinstance(p, ast.Name) and p.id == name for p in parts):
                    unpacked = isinstance(target, (ast.Tuple, ast.List))
                    found |= {"tensor"} if saved and unpacked else self.kinds(other.value)
        return found

    def _infer_call(self, node: ast.Call) -> frozenset[str]:
        dotted = self.names.torch(node.func)
        if dotted:
            records = OPERATIONS.get(dotted, ())
            name = dotted.rsplit(".", 1)[-1]
            if dotted.startswith("torch.nn.") and name[:1].isupper():
                return frozenset(["module"])
            if records:
                return frozenset([records[0].result])
            known = name in self.library.definitions
            return frozenset(["tensor"] if known else [])
        if isinstance(node.func, ast.Attribute) and self.is_tensor(node.func.value):
            records = OPERATIONS.get(f"Tensor.{node.func.attr}", ())
            return frozenset([records[0].result if records else "tensor"])
        return frozenset()

    def _infer_operation(self, node: ast.AST) -> frozenset[str]:
        parts = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        if isinstance(node, ast.Subscript):
            parts = [node.value]
        if isinstance(node, ast.Compare) and isinstance(
            node.ops[0], (ast.Is, ast.IsNot, ast.In, ast.NotIn)
        ):
            return frozenset(["bool"])
        return frozenset(["tensor"]) if any(self.is_tensor(p) for p in parts) else frozenset()

    def _infer_attribute(self, node: ast.Attribute) -> frozenset[str]:
        if node.attr in ("T", "mT", "data") and self.is_tensor(node.value):
            return frozenset(["tensor"])
        if node.attr in self.project.tensor_kinds and "module" in self.kinds(node.value):
            return frozenset(["tensor"])
        if node.attr in self.project.module_names and self.kinds(node.value) == {"module"}:
            return frozenset(["module"])
        return frozenset()

    # --- where a node is ---

    def module_class(self, node: ast.AST) -> ast.ClassDef | None:
        """The module class around a node."""
        for scope in self.source.ancestors(node):
            if isinstance(scope, ast.ClassDef) and scope in self.project.module_classes:
                return scope
        return None

    def in_constructor(self, node: ast.AST) -> bool:
        """Whether a node is in the ``__init__`` of a module class."""
        return any(self.project.is_constructor(a) for a in self.source.ancestors(node))

    def rngs(self, node: ast.AST) -> str:
        """The expression for the key stream at a node. Raises Refused where there is none."""
        function = self.source.function_of(node)
        while function is not None:
            if function in self.project.keyed:
                return "rngs"
            if function in self.project.carriers:
                return f"{self.project.carriers[function]}.rngs"
            name = self.project.self_name(self.unit, function)
            if name is not None:
                return f"{name}.rngs"
            function = self.source.function_of(function)
        raise Refused(
            node,
            "unsupported_construct",
            "random numbers or layers made at import have no key stream",
        )


def _emptied_blocks(
    translator: FileTranslator, children: list[ast.AST], replace: Mapping[ast.AST, str]
) -> list[tuple[ast.AST, str]]:
    """Children with their new texts; the last statement of a block that empties is ``pass``."""
    rendered = [(c, replace[c] if c in replace else translator.render(c)) for c in children]
    blocks: dict[tuple[int, str], list[int]] = {}
    for index, (child, _) in enumerate(rendered):
        if isinstance(child, ast.stmt):
            parent = translator.source.parents.get(child)
            for name in ("body", "orelse", "finalbody"):
                if child in (getattr(parent, name, None) or ()):
                    blocks.setdefault((id(parent), name), []).append(index)
    for indices in blocks.values():
        live = [i for i in indices if rendered[i][1] != REMOVED]
        first = rendered[indices[0]][0]
        if isinstance(translator.source.parents.get(first), ast.Module):
            continue
        if not live:
            child = rendered[indices[-1]][0]
            rendered[indices[-1]] = (child, "pass")
    return rendered
