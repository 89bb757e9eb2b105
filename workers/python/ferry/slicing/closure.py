"""What a run of a package needs of it: from the caller's imports to the last constant.

A statement counts if it ran. Names that are read in lines which never ran are not followed, nor are
the annotations of functions; methods that were never called are no part of their class.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ferry.files import module_name
from ferry.slicing.installed import (
    BUILTINS,
    Effect,
    Installed,
    Link,
    Module,
    bound_by,
    first_line,
    is_literal,
    wrappers,
)
from ferry.slicing.questions import answer_of
from ferry.slicing.syntax import FUNCTIONS, attributes, blocks, called, changes, is_global, member
from ferry.translate.names import absolute_module
from ferry.translate.source import SourceFile


@dataclass
class Part:
    """What is taken of one module."""

    module: Module
    names: set[str] = field(default_factory=set)
    kept: set[ast.AST] = field(default_factory=set)  # statements, methods and members that stay
    linked: dict[str, Link] = field(default_factory=dict)  # names that need an import of their own
    starred: dict[ast.ImportFrom, set[str]] = field(default_factory=dict)  # what a star stands for
    effects: dict[ast.stmt, Effect] = field(default_factory=dict)  # calls that are spelled out
    folded: dict[ast.AST, bool] = field(default_factory=dict)  # functions that only ask, answered
    dropped: set[ast.AST] = field(default_factory=set)  # decorators, bases, entries that go


class Closure:
    """Follows names from module to module until nothing new is reached.

    `classes` are the dotted names of classes that have instances in the model.
    """

    def __init__(self, installed: Installed, classes: Collection[str]) -> None:
        self.installed = installed
        self.parts: dict[str, Part] = {}
        self._instances = set(classes)
        self.mentioned: set[str] = set()
        self._waiting: dict[str, list[tuple[Part, ast.stmt]]] = {}
        self._unused_bases: dict[tuple[str, str], list[tuple[Part, ast.expr]]] = {}
        self._work: list[tuple[str, str]] = []

    # --- where it begins ---

    def add_sources(
        self, sources: Sequence[SourceFile], expressions: Sequence[str], entry: str
    ) -> None:
        """Follow what the caller's files read, what expressions read that stand in their
        namespace, and the entry's own name."""
        wanted = {entry} | {
            a.name
            for s in sources
            for n in ast.walk(s.tree)
            if isinstance(n, ast.ImportFrom)
            for a in n.names
            if n.level or absolute_module(s.path, n) in {module_name(o.path) for o in sources}
        }
        extra = [SourceFile("expression", e.strip()) for e in expressions]
        for source in sources:
            imports: dict[str, Link] = {}
            for node in ast.walk(source.tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    imports |= dict(self.installed.imports(source.path, node))
            for text in (source, *extra):
                for node in ast.walk(text.tree):
                    self._mention(node)
                    if isinstance(node, ast.Name) and node.id in imports:
                        self._follow(imports[node.id], attributes(text, node))
            for name in wanted & set(imports):
                self._follow(imports[name], [])
        self._run()

    # --- names ---

    def need(self, module: str, name: str) -> None:
        """A name of a module is read by something that ran."""
        if self.installed.module(module) is not None:
            self._work.append((module, name))

    def _run(self) -> None:
        while self._work:
            self._take(*self._work.pop())

    def part(self, name: str) -> Part | None:
        """What is taken of a module so far; its packages are parts too."""
        module = self.installed.module(name)
        if module is None:
            return None
        if name not in self.parts:
            self.parts[name] = Part(module)
        return self.parts[name]

    def _take(self, module_name: str, name: str) -> None:
        part = self.part(module_name)
        if part is None or name in part.names:
            return
        part.names.add(name)
        for other, base in self._unused_bases.pop((module_name, name), ()):
            other.dropped.discard(base)
            self._read(other, base)
        link = self.installed.link(part.module, name)
        if link is not None:
            self._take_link(part, name, link)
            return
        for node in part.module.bindings.get(name, ()):
            self._keep(part, node)
        if name in part.module.bindings:
            self._take_changes(part, name)

    def _take_link(self, part: Part, name: str, link: Link) -> None:
        statements = part.module.bindings.get(name, ())
        imports = [s for s in statements if isinstance(s, (ast.Import, ast.ImportFrom))]
        part.kept.update(imports)
        if imports and len(imports) < len(statements):  # imported, then bound anew
            for node in statements:
                self._keep(part, node)
            self._take_changes(part, name)
        star = None if statements else self.installed.star(part.module, name)
        if star is not None:
            part.kept.add(star)
            part.starred.setdefault(star, set()).add(name)
        elif not statements and not (
            link.name is None and link.module == f"{part.module.name}.{name}"
        ):
            part.linked[name] = link
        self._follow(link, [])

    def _take_changes(self, part: Part, name: str) -> None:
        """Statements that change a module's variable after it was bound."""
        for node in part.module.flat:
            if node in part.kept or not changes(node, name):
                continue
            name_of = member(node)
            if name_of is None:
                self._keep(part, node)
            else:
                self._wait(name_of, part, node)

    def _follow(self, link: Link, attributes: Sequence[str]) -> None:
        """What ``link.a.b`` reads: through modules down to the first name that is none."""
        while link.name is None and attributes:
            module = self.installed.module(link.module)
            if module is None:
                return
            name, *attributes = attributes
            self.need(link.module, name)
            onward = self.installed.link(module, name)
            if onward is None:
                return
            link = onward
        if link.name is not None:
            self.need(link.module, link.name)

    # --- statements ---

    def _keep(self, part: Part, node: ast.stmt) -> None:
        if node in part.kept:
            return
        part.kept.add(node)
        if isinstance(node, ast.ClassDef):
            self._keep_class(part, node)
        elif isinstance(node, FUNCTIONS):
            self._keep_function(part, node, getattr(part.module.value, node.name, None))
        else:
            self._read_statement(part, node)

    def _keep_class(self, part: Part, node: ast.ClassDef) -> None:
        value = getattr(part.module.value, node.name, None)
        for decorator in node.decorator_list:
            found = self.installed.definition(part.module, called(decorator))
            works = found is None or self.installed.shapes_class(part.module, node, found[0])
            self._decorate(part, decorator, works)
        for base in (*node.bases, *(k.value for k in node.keywords)):
            self._keep_base(part, base)
        whole = self.installed.keeps_all_members(value)
        for item in node.body:
            if isinstance(item, FUNCTIONS):
                self._keep_method(part, value, item)
            elif whole or is_literal(item) or isinstance(item, ast.ClassDef):
                self._keep_member(part, item, whole)
            else:
                for name in bound_by(item):
                    self._wait(name, part, item)

    def _keep_method(
        self, part: Part, owner: object, item: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        """A method that was called: by code that names it, or by what the class derives from."""
        if self.installed.must_define(owner, item.name):
            self._keep_member(part, item, True)
        elif part.module.entered_function(item):
            if self.installed.is_called_from_outside(owner, item.name):
                self._keep_member(part, item, True)
            else:
                self._wait(item.name, part, item)

    def _keep_member(self, part: Part, item: ast.stmt, whole: bool) -> None:
        if isinstance(item, FUNCTIONS):
            part.kept.add(item)
            owner = part.module.source.parents[item]
            value = getattr(part.module.value, getattr(owner, "name", ""), None)
            self._keep_function(part, item, vars(value).get(item.name) if value else None)
            return
        if isinstance(item, ast.AnnAssign) and not whole:
            return
        part.kept.add(item)
        if isinstance(item, ast.AnnAssign):
            self._read(part, item.annotation)
        self._read_statement(part, item)

    def _keep_base(self, part: Part, base: ast.expr) -> None:
        target = self.installed.target(part.module, base)
        if target is not None and not self._gives_anything(*target):
            known = self.parts.get(target[0].name)
            if known is None or target[1].name not in known.names:
                part.dropped.add(base)
                key = (target[0].name, target[1].name)
                self._unused_bases.setdefault(key, []).append((part, base))
                return
        self._read(part, base)

    def _gives_anything(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether any method of a class, or of those it derives from, was called."""
        if module.entered_function(node):
            return True
        for base in node.bases:
            target = self.installed.target(module, base)
            foreign = target is None and ast.unparse(base) not in ("object",)
            if foreign or (target is not None and self._gives_anything(*target)):
                return True
        return False

    def _keep_function(
        self, part: Part, node: ast.FunctionDef | ast.AsyncFunctionDef, value: object
    ) -> None:
        answer = answer_of(self.installed, part.module, node)
        if answer is not None:
            part.folded[node] = answer
            part.dropped.update(node.decorator_list)
            self._read_defaults(part, node)
            return
        chain = wrappers(value)
        roots = {f.__code__.co_qualname.partition(".")[0] for f in chain}
        own = any(f.__code__.co_firstlineno == first_line(node) for f in chain)
        for decorator in node.decorator_list:
            found = self.installed.definition(part.module, called(decorator))
            wraps = found is not None and found[1].name in roots
            makes_object = found is not None and isinstance(found[1], ast.ClassDef)
            self._decorate(part, decorator, not own or wraps or makes_object)
        self._read_function(part, node)

    def _decorate(self, part: Part, decorator: ast.expr, works: bool) -> None:
        """Follow a decorator, unless it is a package's and changed nothing that is called."""
        ours = self.installed.definition(part.module, called(decorator)) is not None
        if ours and not works:
            part.dropped.add(decorator)
        else:
            self._read(part, decorator)

    def _read_function(self, part: Part, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._read_defaults(part, node)
        self._read_block(part, node.body)

    def _read_defaults(self, part: Part, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._read(part, default)

    def _read_block(self, part: Part, body: Sequence[ast.stmt]) -> None:
        for node in body:
            if part.module.ran(node):
                self._read_statement(part, node)

    def _read_statement(self, part: Part, node: ast.stmt) -> None:
        """Follow what a statement that ran reads itself, and the statements in it that ran."""
        if isinstance(node, FUNCTIONS):
            for decorator in node.decorator_list:
                self._read(part, decorator)
            self._read_function(part, node)
        elif isinstance(node, ast.ClassDef):
            for expression in (*node.decorator_list, *node.bases):
                self._read(part, expression)
            self._read_block(part, node.body)
        elif (effect := self.installed.effect(part.module, node)) is not None:
            part.effects[node] = effect
        elif not self.is_log(part.module, node):
            for child in ast.iter_child_nodes(node):
                is_type = child is getattr(node, "annotation", None)
                if isinstance(child, (ast.expr, ast.withitem)) and not is_type:
                    self._read(part, child)
                elif isinstance(child, ast.ExceptHandler) and part.module.ran_any(child.body):
                    if child.type is not None:
                        self._read(part, child.type)
                elif isinstance(child, ast.match_case):
                    self._read(part, child.pattern)
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._read_import(part, node)
            for block in blocks(node):
                self._read_block(part, block)

    def _read_import(self, part: Part, node: ast.Import | ast.ImportFrom) -> None:
        """An import inside a function; one at the top of a module is followed by name."""
        if part.module.source.function_of(node) is None:
            return
        scope = part.module.source.function_of(node)
        for name, link in self.installed.imports(part.module.path, node):
            uses = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == name]  # type: ignore[arg-type]
            for use in uses:
                self._follow(link, attributes(part.module.source, use))
            if link.name is not None:
                self._follow(link, [])

    # --- expressions ---

    def _read(self, part: Part, tree: ast.AST) -> None:
        if isinstance(tree, ast.Dict):
            self._read_mapping(part, tree)
            return
        self._mention(tree)
        if isinstance(tree, ast.Name) and is_global(part.module.source, tree):
            self._read_name(part, tree)
        for child in ast.iter_child_nodes(tree):
            if not (isinstance(tree, ast.arg) and child is tree.annotation):
                self._read(part, child)

    def _read_mapping(self, part: Part, node: ast.Dict) -> None:
        """A table of classes and functions holds those that the run made use of."""
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self._read(part, key)
            if self._is_idle(part, value):
                part.dropped.add(value)
            else:
                self._read(part, value)

    def _is_idle(self, part: Part, value: ast.expr) -> bool:
        named = value
        if isinstance(value, ast.Tuple) and value.elts:
            named = value.elts[0]
        found = self.installed.definition(part.module, named)
        if found is None or part.module.source.function_of(value) is not None:
            return False
        module, node = found
        return (
            not module.entered_function(node)
            and f"{module.name}.{node.name}" not in self._instances
        )

    def _read_name(self, part: Part, node: ast.Name) -> None:
        module = part.module
        if not isinstance(node.ctx, ast.Load):
            return
        brought = node.id in module.bindings or self.installed.star(module, node.id) is not None
        if node.id in BUILTINS and not brought:
            return
        self.need(part.module.name, node.id)
        link = self.installed.link(part.module, node.id)
        if link is not None and link.name is None:
            self._follow(link, attributes(part.module.source, node))

    def _mention(self, node: ast.AST) -> None:
        """Attributes and strings may name members of classes."""
        if isinstance(node, ast.Attribute):
            self._said(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._said(node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            self._said(node.arg)

    def _said(self, name: str) -> None:
        if name in self.mentioned:
            return
        self.mentioned.add(name)
        for part, item in self._waiting.pop(name, ()):
            self._keep_member(part, item, True)

    def _wait(self, name: str, part: Part, item: ast.stmt) -> None:
        """Keep a member of a class once anything names it."""
        if name in self.mentioned or (name.startswith("__") and name.endswith("__")):
            self._keep_member(part, item, True)
        else:
            self._waiting.setdefault(name, []).append((part, item))

    def is_log(self, module: Module, node: ast.stmt) -> bool:
        """A statement that only writes to a log."""
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            return False
        func = node.value.func
        if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name):
            return False
        return self.installed.is_logger(module, func.value.id)
