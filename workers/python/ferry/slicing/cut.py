"""The text of a slice: a module's own lines, without what the run had no need of."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Sequence

from ferry.slicing.closure import Closure, Part
from ferry.slicing.installed import (
    BUILTINS,
    WHOLE,
    Effect,
    Link,
    Module,
)
from ferry.slicing.syntax import FUNCTIONS, blocks, is_global
from ferry.slicing.texts import Edit, dedented, edited, import_lines, import_text
from ferry.translate.names import absolute_module, asked_name
from ferry.translate.source import is_docstring, parameters
from ferry.translate.tidy import GAP, closed_gaps

_DEFAULT = re.compile(r"\s*=\s*")
NEVER = 'raise NotImplementedError("left out: the oracle\'s run never came here")'


class Cutter:
    """Cuts the parts of a finished closure out of their modules."""

    def __init__(self, closure: Closure) -> None:
        self._closure = closure
        self._methods, self._lost = _methods(closure)
        self.left_out: list[str] = []
        self.answered: list[str] = []

    def text(self, part: Part) -> str:
        """One module of the slice."""
        one = _PartCutter(self, part)
        text = one.cut()
        self.left_out, self.answered = one.left_out, one.answered
        return text

    def knows(self, part: Part, name: str) -> bool:
        """Whether a global name is there in the slice, or can be at the price of an import."""
        if name in part.names:
            return True
        if name not in part.module.bindings:
            return name in BUILTINS
        link = self._closure.installed.link(part.module, name)
        if link is None or not is_foreign(link.module):
            return False
        part.names.add(name)
        part.kept.update(part.module.bindings[name])
        return True

    def has_name(self, module: Module, node: ast.expr) -> bool | None:
        """The answer to ``hasattr(torch.part, "name")`` or ``"name" in dir(torch.part)``, asked while
        a module was imported."""
        asked = asked_name(node)
        if asked is None:
            return None
        root, *attributes = ast.unparse(asked[0]).split(".")
        link = self._closure.installed.link(module, root)
        if link is None or link.module.partition(".")[0] != "torch":
            return None
        value = getattr(module.value, root, None)
        for attribute in attributes:
            value = getattr(value, attribute, None)
        return hasattr(value, asked[1])

    def is_read(self, name: str) -> bool:
        """Whether anything that was taken reads an attribute of this name."""
        return name in self._closure.mentioned

    def is_lost(self, name: str) -> bool:
        """Whether only methods that were left out have this name."""
        return name in self._lost and name not in self._methods

    def is_log(self, module: Module, node: ast.stmt) -> bool:
        """See `Closure.is_log`."""
        return self._closure.is_log(module, node)

    def has(self, link: Link) -> bool:
        """Whether the slice has what an import inside a function names."""
        known = self._closure.parts.get(link.module)
        if link.name is None:
            return known is not None
        return known is not None and link.name in known.names

    def imported(self, module: str, name: str) -> Link:
        """What ``from module import name`` gives."""
        return self._closure.installed.imported(module, name)


def is_foreign(module: str) -> bool:
    """Whether a module belongs to a package that is never sliced."""
    top = module.partition(".")[0]
    return top in WHOLE or top in sys.stdlib_module_names


def _methods(closure: Closure) -> tuple[set[str], set[str]]:
    """The names of methods that stay, and of those that go."""
    stay: set[str] = set()
    go: set[str] = set()
    for part in closure.parts.values():
        for node in part.kept:
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, FUNCTIONS):
                        (stay if item in part.kept else go).add(item.name)
    return stay, go


class _PartCutter:
    def __init__(self, whole: Cutter, part: Part) -> None:
        self._whole = whole
        self._part = part
        self._module = part.module
        self._source = part.module.source
        self._edits: list[Edit] = []
        self.left_out: list[str] = []
        self.answered: list[str] = []

    def cut(self) -> str:
        body = self._source.tree.body
        settled = -1
        while settled != len(self._part.names):  # a branch that stays may want one more import
            settled = len(self._part.names)
            self._edits, self.left_out, self.answered = [], [], []
            for node in body:
                self._cut_top(node, is_first=node is body[0])
        text = closed_gaps(edited(self._source.text, self._edits)).strip("\n")
        lazy = "\n".join(
            import_lines(self._part.linked)
        )  # last, as a lazy module gives them out last
        return "\n\n".join(filter(None, [text, lazy])) + "\n"

    # --- modules ---

    def _cut_top(self, node: ast.stmt, is_first: bool) -> None:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if (is_first and is_docstring(node)) or future:
            return
        if node in self._part.kept:
            self._cut_statement(node)
        elif isinstance(node, (ast.If, ast.Try)):
            self._cut_flattened(node)
        else:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                self.left_out.append(node.name)
            self._remove(node)

    def _cut_flattened(self, node: ast.If | ast.Try) -> None:
        """What stays of the branches of a module, without the branch."""
        inside = set(ast.walk(node))
        kept = [s for s in self._module.flat if s in self._part.kept and s in inside]
        if not kept:
            self._remove(node)
            return
        outer, texts = self._edits, []
        for statement in kept:
            self._edits = []
            self._cut_statement(statement)
            start, end = self._source.span(statement)
            indent = self._source.indent(statement)
            texts.append(dedented(edited(self._source.text, self._edits, start, end), indent))
        self._edits = outer
        start, end = self._source.span(node)
        self._edits.append((start, end, "\n".join(texts)))

    # --- statements ---

    def _cut_statement(self, node: ast.stmt) -> None:
        effect = self._part.effects.get(node)
        if effect is not None:
            lines = self._effect_lines(effect)
            start, end = self._source.span(node)
            self._edits.append((start, end, f"\n{self._source.indent(node)}".join(lines)))
        elif isinstance(node, ast.ClassDef):
            self._cut_class(node)
        elif isinstance(node, FUNCTIONS):
            self._cut_function(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._narrow_import(node)
        else:
            self._cut_expressions(node)
            for block in blocks(node):
                self._cut_block(block)

    def _narrow_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if self._source.function_of(node) is not None:
            return
        star = self._part.starred.get(node, ()) if isinstance(node, ast.ImportFrom) else ()
        kept = [ast.alias(name) for name in sorted(star)]
        kept += [
            a
            for a in node.names
            if (a.asname or a.name).partition(".")[0] in self._part.names
            and (a.asname or a.name) not in self._part.linked
        ]
        if kept == node.names:
            return
        if not kept:
            self._remove(node)
            return
        start, end = self._source.span(node)
        self._edits.append((start, end, import_text(node, kept)))

    def _cut_class(self, node: ast.ClassDef) -> None:
        self._cut_decorators(node)
        if any(b in self._part.dropped for b in node.bases):
            self._cut_bases(node)
        gone = [i for i in node.body if i not in self._part.kept and not is_docstring(i)]
        for item in node.body:
            if item in gone:
                if isinstance(item, FUNCTIONS):
                    self.left_out.append(f"{node.name}.{item.name}")
            elif not is_docstring(item):
                self._cut_statement(item)
        self._remove_all(gone, node.body)

    def _cut_bases(self, node: ast.ClassDef) -> None:
        kept = [*(b for b in node.bases if b not in self._part.dropped), *node.keywords]
        text = self._source.text
        opened = text.index("(", text.index(node.name, self._offset(node)))
        last = max([*node.bases, *node.keywords], key=lambda n: self._source.span(n)[1])
        closed = text.index(")", self._source.span(last)[1]) + 1
        listed = ", ".join(self._source.segment(k) for k in kept)
        self._edits.append((opened, closed, f"({listed})" if kept else ""))

    def _offset(self, node: ast.stmt) -> int:
        return self._source.offset(node.lineno, node.col_offset)

    def _cut_decorators(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            if decorator in self._part.dropped:
                start, end = self._source.span(decorator)
                line = (
                    self._source.text.rindex("\n", 0, start) + 1
                    if "\n" in self._source.text[:start]
                    else 0
                )
                end = self._source.text.index("\n", end) + 1
                self._edits.append((line, end, ""))

    def _cut_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._cut_decorators(node)
        if node in self._part.folded:
            self._answer(node)
        for arg in parameters(node):
            if arg.annotation is not None and not self._is_known(arg.annotation):
                start = self._source.offset(arg.lineno, arg.col_offset) + len(arg.arg)
                end = self._source.span(arg.annotation)[1]
                default = _DEFAULT.match(self._source.text, end)
                self._edits.append(
                    (start, default.end() if default else end, "=" if default else "")
                )
        if node.returns is not None and not self._is_known(node.returns):
            start, end = self._source.span(node.returns)
            self._edits.append((self._source.text.rindex("->", 0, start), end, ""))
            self._trim_space(self._edits[-1])
        self._cut_block(node.body)

    def _answer(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """The body of a function that asks about its surroundings, as it was answered."""
        body = [s for s in node.body if not is_docstring(s)]
        start, end = self._source.span(body[0])[0], self._source.span(body[-1])[1]
        self._edits.append((start, end, f"return {self._part.folded[node]}"))
        self.answered.append(f"{node.name}() is {self._part.folded[node]}")

    def _trim_space(self, edit: Edit) -> None:
        """Take the blank in front of an arrow away with it."""
        start, end, text = edit
        while self._source.text[start - 1] == " ":
            start -= 1
        self._edits[-1] = (start, end, text)

    # --- blocks ---

    def _cut_block(self, body: Sequence[ast.stmt]) -> None:
        """A block: what never ran stays where the slice has all that it names."""
        gone = [s for s in body if self._is_gone(s)]
        rest = [s for s in body if s not in gone]
        dead = next(
            (i for i, s in enumerate(rest) if not self._lives(s) and not self._is_known(s)), None
        )
        if dead is not None and not any(map(self._lives, rest)):
            dead = 0
        for statement in rest[:dead]:
            self._cut_statement(statement)
        if dead is not None:
            self._give_up(rest[dead:])
            body = [s for s in body if s in gone or s in rest[:dead]]
            if any(s not in gone for s in body):
                self._remove_all(gone, [*body, rest[dead]])
            else:
                for statement in gone:
                    self._remove(statement)
            return
        self._remove_all(gone, body)

    def _is_gone(self, node: ast.stmt) -> bool:
        """Whether a statement is of no consequence to what is computed."""
        effect = self._part.effects.get(node)
        if effect is not None and not self._effect_lines(effect):
            return True
        return self._whole.is_log(self._module, node)

    def _effect_lines(self, effect: Effect) -> list[str]:
        named = [
            (name, value)
            for name, value in effect.attributes
            if self._whole.is_read(name) and not value.startswith("<")
        ]
        return [*effect.lines, *(f"self.{name} = {value}" for name, value in named)]

    def _lives(self, node: ast.stmt) -> bool:
        return self._module.ran(node)

    def _give_up(self, body: Sequence[ast.stmt]) -> None:
        """Statements that never ran, and name what is not there, end in an error."""
        start, end = self._source.span(body[0])[0], self._source.span(body[-1])[1]
        text = NEVER
        if self._source.text.startswith("elif", start):
            text = f"else:\n{self._source.indent(body[0])}    {NEVER}"
        self._edits.append((start, end, text))

    def _is_known(self, tree: ast.AST) -> bool:
        """Whether the slice has every name of its module that a node reads."""
        return all(map(self._is_known_node, ast.walk(tree)))

    def _is_known_node(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if not is_global(self._source, node):
                return True
            return self._whole.knows(self._part, node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.value.id != "self" or not self._whole.is_lost(node.attr)
        if isinstance(node, ast.Import):
            return all(is_foreign(a.name) for a in node.names)
        if isinstance(node, ast.ImportFrom):
            module = absolute_module(self._module.path, node)
            return is_foreign(module) or all(
                self._whole.has(self._whole.imported(module, a.name)) for a in node.names
            )
        return True

    # --- expressions ---

    def _cut_expressions(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            local = self._source.function_of(node) is not None
            if local and not self._is_known(node.annotation):
                start = self._source.span(node.target)[1]
                self._edits.append((start, self._source.span(node.annotation)[1], ""))
        for inner in ast.walk(node):
            if isinstance(inner, ast.Dict):
                self._cut_mapping(inner)
            elif isinstance(inner, ast.expr) and self._source.function_of(node) is None:
                answer = self._whole.has_name(self._module, inner)
                if answer is not None:
                    self._edits.append((*self._source.span(inner), str(answer)))
                    self.answered.append(f"{ast.unparse(inner)} is {answer}")

    def _cut_mapping(self, node: ast.Dict) -> None:
        """Entries that nothing made use of keep their keys: a table may be asked for those."""
        for value in node.values:
            if value in self._part.dropped:
                self._edits.append((*self._source.span(value), "None"))
                self.left_out.append(ast.unparse(value))

    # --- removals ---

    def _remove(self, node: ast.stmt) -> None:
        lines = self._source.removal(node)
        if lines is None:
            start, end = self._source.span(node)
            self._edits.append((start, end, "pass"))
            return
        start, end = lines
        self._edits.append((start, end, GAP + "\n"))

    def _remove_all(self, gone: Iterable[ast.stmt], body: Sequence[ast.stmt]) -> None:
        """Take statements out of a block; one that would be empty passes."""
        gone = list(gone)
        stays = [s for s in body if s not in gone]
        described = bool(stays) and isinstance(self._source.parents[stays[0]], ast.ClassDef)
        if gone and all(map(is_docstring, stays)) and not described:
            self._edits.append((*self._source.span(gone.pop()), "pass"))
        for node in gone:
            self._remove(node)
