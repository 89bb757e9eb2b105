"""What removals leave behind: blank lines that belonged together, imports that nothing uses.

Where a statement goes, `FileTranslator` leaves a line with `GAP`. Only the lines around such
a place change; everything else keeps the source's own spacing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

GAP = "\0gap\0"


def closed_gaps(text: str) -> str:
    """The text without its `GAP` lines: one run of blank lines where there were several."""
    if GAP not in text:
        return text
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and (not lines[end].strip() or GAP in lines[end]):
            end += 1
        run = lines[at:end]
        if any(GAP in line for line in run):
            following = lines[end] if end < len(lines) else None
            kept += [""] * _blank_lines(run, kept[-1] if kept else None, following)
        else:
            kept += run
        kept += lines[end : end + 1]
        at = end + 1
    return "\n".join(kept)


def _blank_lines(run: list[str], before: str | None, after: str | None) -> int:
    """How many blank lines a gap is worth: the longest run in it, but no more than is usual."""
    if before is None or after is None:
        return 0 if before is None else 1
    longest = current = 0
    for line in run:
        current = 0 if GAP in line else current + 1
        longest = max(longest, current)
    indented = len(after) - len(after.lstrip())
    if before.rstrip().endswith(":") and indented:
        return 0
    return min(longest, 1 if indented else 2)


def without_idle_imports(text: str, source: ast.Module, mark: str) -> str:
    """The text without imports that the source used and the port no longer does.

    `mark` stands for a line that is not Python.
    """
    tree = ast.parse(text.replace(mark, "pass"))
    idle = _read(source) - _read(tree)
    lines = text.split("\n")
    for node in reversed(tree.body):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        kept = [a for a in node.names if (a.asname or a.name).split(".")[0] not in idle]
        if len(kept) < len(node.names):
            lines[node.lineno - 1 : node.end_lineno] = [_import(node, kept)] if kept else []
    return "\n".join(lines)


def _read(tree: ast.Module) -> set[str]:
    """Names that a module reads, or exports."""
    return set(_names(tree))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from node.value.replace("[", " ").replace("]", " ").replace(".", " ").split()


def _import(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> str:
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import(names))
    return ast.unparse(ast.ImportFrom(node.module, names, node.level))
