"""One source file: text, syntax tree, positions, parents and scopes.

Positions of `ast` are 1-based lines and 0-based UTF-8 byte columns; everything here
speaks in character offsets of the text instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def is_function(node: ast.AST | None) -> TypeGuard[Function]:
    """Whether `node` opens a function scope."""
    return isinstance(node, FUNCTIONS)


class SourceFile:
    """A parsed file. Raises SyntaxError where it is not Python."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tree = ast.parse(text, path)
        self.lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        self.parents: dict[ast.AST, ast.AST] = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }
        self._bound: dict[ast.AST, frozenset[str]] = {}

    def offset(self, line: int, column: int) -> int:
        """Character offset of a position as `ast` gives it."""
        if line > len(self.lines):
            return len(self.text)
        text = self.lines[line - 1]
        if not text.isascii():
            column = len(text.encode()[:column].decode())
        return self._starts[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Offsets of a node; a decorated definition begins at its first ``@``."""
        start = self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        end = self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            first = decorators[0]
            start = self.text.rindex("@", 0, self.offset(first.lineno, first.col_offset))
        return start, end

    def segment(self, node: ast.AST) -> str:
        """The node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_text(self, line: int) -> str:
        """A line without its indentation and end, for messages."""
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""

    def indent(self, node: ast.AST) -> str:
        """White space in front of a statement."""
        line = self.lines[node.lineno - 1]  # type: ignore[attr-defined]
        return line[: len(line) - len(line.lstrip())]

    def full_lines(self, node: ast.stmt) -> tuple[int, int] | None:
        """Offsets of the whole lines of a statement, or None if it shares them with code."""
        start, end = self.span(node)
        line_start = self.text.rfind("\n", 0, start) + 1
        line_end = self.text.find("\n", end)
        line_end = len(self.text) if line_end < 0 else line_end + 1
        before, after = self.text[line_start:start].strip(), self.text[end:line_end].strip()
        return None if before or (after and not after.startswith("#")) else (line_start, line_end)

    def removal(self, node: ast.stmt) -> tuple[int, int] | None:
        """What goes with a statement: its lines, and the comment above it."""
        lines = self.full_lines(node)
        if lines is None or isinstance(node, (ast.Import, ast.ImportFrom)):
            return lines
        start, end = lines
        indent = self.indent(node)
        while start > 0:
            above = self.text.rfind("\n", 0, start - 1) + 1
            if not self.text[above:start].startswith(f"{indent}#"):
                break
            start = above
        return start, end

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Parents, from the nearest to the module."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def function_of(self, node: ast.AST) -> Function | None:
        """The nearest function around a node (a lambda counts)."""
        return next((a for a in self.ancestors(node) if is_function(a)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The nearest class around a node."""
        return next((a for a in self.ancestors(node) if isinstance(a, ast.ClassDef)), None)

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """The statement that holds a node, or the node itself."""
        if isinstance(node, ast.stmt):
            return node
        return next(a for a in self.ancestors(node) if isinstance(a, ast.stmt))

    def bound_names(self, scope: ast.AST) -> frozenset[str]:
        """Names a function, class, comprehension or module binds itself."""
        if scope not in self._bound:
            self._bound[scope] = frozenset(_bound_in(scope))
        return self._bound[scope]

    def is_local(self, node: ast.AST, name: str) -> bool:
        """Whether `name`, read at `node`, means something bound in a function around it."""
        return any(
            (is_function(scope) or isinstance(scope, COMPREHENSIONS))
            and name in self.bound_names(scope)
            for scope in (node, *self.ancestors(node))
        )


def _bound_in(scope: ast.AST) -> Iterator[str]:
    if is_function(scope):
        for arg in parameters(scope):
            yield arg.arg
    stack = list(_own_children(scope))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif not is_function(node) and not isinstance(node, COMPREHENSIONS):
            stack.extend(ast.iter_child_nodes(node))


def _own_children(scope: ast.AST) -> Iterator[ast.AST]:
    if is_function(scope):
        yield from scope.body if isinstance(scope.body, list) else [scope.body]
    else:
        yield from ast.iter_child_nodes(scope)


def parameters(function: Function) -> list[ast.arg]:
    """All parameters of a function, in the order of its text."""
    args = function.args
    found = [*args.posonlyargs, *args.args]
    found += [args.vararg] if args.vararg else []
    found += args.kwonlyargs
    return found + ([args.kwarg] if args.kwarg else [])


def positioned_children(node: ast.AST) -> list[ast.AST]:
    """The nearest descendants that have a position, in the order of the text."""
    found: list[ast.AST] = []
    stack = list(ast.iter_child_nodes(node))
    while stack:
        child = stack.pop()
        if hasattr(child, "lineno"):
            found.append(child)
        else:
            stack.extend(ast.iter_child_nodes(child))
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))  # type: ignore[attr-defined]


def is_docstring(node: ast.stmt) -> bool:
    """A statement that is only a string."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
