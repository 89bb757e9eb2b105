"""What can be said about the caller's files without running them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.files import module_name
from ferry.step import StepError

Json = dict[str, Any]
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class SourceFile:
    """One parsed file."""

    path: str
    text: str
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The name that the file is imported by."""
        return module_name(self.path)


def parse(path: str, text: str) -> SourceFile:
    """Parse one file; `source_syntax` with its place where that fails."""
    try:
        tree = ast.parse(text, path)
    except SyntaxError as error:
        raise StepError(
            "source_syntax",
            error.msg,
            file=path,
            line=error.lineno,
            text=(error.text or "").strip() or None,
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise StepError("source_syntax", str(error), file=path) from None
    parsed = SourceFile(path, text, tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            parsed.classes[node.name] = node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parsed.functions[node.name] = node
    return parsed


def parse_all(files: Sequence[Mapping[str, Any]]) -> list[SourceFile]:
    """All Python files of a request, in its order."""
    return [parse(f["path"], f["content"]) for f in files if f["path"].endswith(".py")]


def list_definitions(files: Sequence[SourceFile]) -> tuple[list[Json], list[Json]]:
    """The top-level classes and functions, as `inspect` lists them."""
    classes = [
        {
            "name": name,
            "file": f.path,
            "line": node.lineno,
            "bases": [ast.unparse(b) for b in node.bases],
        }
        for f in files
        for name, node in f.classes.items()
    ]
    functions = [
        {"name": name, "file": f.path, "line": node.lineno}
        for f in files
        for name, node in f.functions.items()
    ]
    return classes, functions


def list_imports(files: Sequence[SourceFile]) -> list[str]:
    """The packages that the files import from outside, sorted."""
    own = {f.module.partition(".")[0] for f in files}
    names: set[str] = set()
    for f in files:
        for node in ast.walk(f.tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module)
    return sorted({name.partition(".")[0] for name in names} - own)


def used_by_others(files: Sequence[SourceFile]) -> set[str]:
    """Names of classes that some other class of the files mentions."""
    used: set[str] = set()
    for f in files:
        for name, node in f.classes.items():
            used |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id != name}
            used |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return used
