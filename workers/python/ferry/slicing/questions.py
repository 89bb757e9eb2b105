"""Functions that ask where they run rather than what to compute: the answers are the oracle's."""

from __future__ import annotations

import ast

from ferry.slicing.installed import Installed, Link, Module, first_line
from ferry.slicing.syntax import FUNCTIONS
from ferry.translate.source import parameters

# what such a function reads
ENVIRONMENT = frozenset({"torch", "importlib", "os", "sys", "platform", "subprocess", "shutil"})
DEPTH = 4
_IDENTITY = (ast.Is, ast.IsNot)


def answer_of(
    installed: Installed, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef
) -> bool | None:
    """The one answer of a function that reads its surroundings, and no more of what it is handed
    than constants and types."""
    answers = module.answers.get(first_line(node))
    if answers is None or answers.value is None or not _asks(installed, module, node, 0):
        return None
    return answers.value if answers.plain or _sees_types(installed, module, node, 0) else None


def _sees_types(installed: Installed, module: Module, node: ast.AST, depth: int) -> bool:
    """Whether what ran of a function asks its arguments for their types, and hands them on only to
    functions that do the same."""
    assert isinstance(node, FUNCTIONS)
    names = {arg.arg for arg in parameters(node)}
    for name in ast.walk(node):
        if not isinstance(name, ast.Name) or name.id not in names or not module.ran(name):
            continue
        parent = module.source.parents[name]
        if isinstance(parent, ast.Compare) and all(isinstance(o, _IDENTITY) for o in parent.ops):
            continue
        if not isinstance(parent, ast.Call) or parent.func is name or depth > DEPTH:
            return False
        if ast.unparse(parent.func) in ("isinstance", "hasattr", "type"):
            continue
        found = installed.definition(module, parent.func)
        if found is None or not isinstance(found[1], FUNCTIONS):
            return False
        if not _sees_types(installed, found[0], found[1], depth + 1):
            return False
    return True


def _asks(installed: Installed, module: Module, node: ast.AST, depth: int) -> bool:
    """Whether what ran of a function reads the environment, itself or through another one."""
    for name in ast.walk(node):
        if not isinstance(name, ast.Name) or not module.ran(name) or depth > DEPTH:
            continue
        link = installed.link(module, name.id) or _local_link(installed, module, name)
        if link is not None and link.module.partition(".")[0] in ENVIRONMENT:
            return True
        found = installed.definition(module, name)
        if found is None or found[1] is node or not isinstance(found[1], FUNCTIONS):
            continue
        if _asks(installed, found[0], found[1], depth + 1):
            return True
    return False


def _local_link(installed: Installed, module: Module, node: ast.Name) -> Link | None:
    """What an import inside the function around a name stands for."""
    scope = module.source.function_of(node)
    for inner in ast.walk(scope) if scope is not None else ():
        if isinstance(inner, (ast.Import, ast.ImportFrom)):
            for name, link in installed.imports(module.path, inner):
                if name == node.id:
                    return link
    return None
