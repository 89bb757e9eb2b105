"""Import statements: torch's go, the others stay where the port can import them."""

from __future__ import annotations

import ast
import sys

from ferry.translate.names import canonical, is_torch
from ferry.translate.translator import REMOVED, FileTranslator, Refused

# packages that a port may import: these are in the jax environment
PORTABLE = frozenset(
    {"numpy", "einops", "jax", "flax", "optax", "scipy", "packaging", "typing_extensions"}
)
IMPORTS_MARK = "\0imports\0"


def import_(tr: FileTranslator, node: ast.Import) -> str | None:
    """torch's modules are no longer imported; the first such line marks the new imports."""
    kept = [a for a in node.names if not is_torch(a.name) and _importable(tr, node, a, a.name)]
    if len(kept) == len(node.names):
        return None
    return _import_text(tr, node, [f"import {', '.join(map(_alias, kept))}"] if kept else [])


def works(tr: FileTranslator, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the port can do without an import, or have it. Raises Refused where it needs it."""
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return bool(node.level) or is_torch(module) or _importable(tr, node, node.names[0], module)
    return all(is_torch(a.name) or _importable(tr, node, a, a.name) for a in node.names)


def import_from(tr: FileTranslator, node: ast.ImportFrom) -> str | None:
    """As `import_`, for ``from … import …``."""
    kept = [a for a in node.names if not is_torch(tr.names.imports.get(a.asname or a.name))]
    if node.level:
        return None if kept == node.names else _import_text(tr, node, _from(node, kept))
    module = node.module or ""
    torch = [a for a in node.names if is_torch(module) or is_torch(canonical(f"{module}.{a.name}"))]
    if torch and any(a.name == "*" for a in torch) and module != "torch.nn":
        raise Refused(node, "unsupported_construct", f"all names of {module} are imported")
    if torch:
        return _import_text(tr, node, [])
    kept = [a for a in kept if _importable(tr, node, a, module) and _is_there(tr, module, a)]
    return None if kept == node.names else _import_text(tr, node, _from(node, kept))


def _is_there(tr: FileTranslator, module: str, alias: ast.alias) -> bool:
    """Whether the port has what an import of a sliced package names; what nothing used it has not."""
    own = {name.partition(".")[0] for name in tr.project.modules}
    if module.partition(".")[0] not in own or alias.name == "*":
        return True
    unit = tr.project.modules.get(module)
    bound = unit.source.bound_names(unit.source.tree) if unit is not None else frozenset()
    return alias.name in bound or f"{module}.{alias.name}" in tr.project.modules


def _importable(tr: FileTranslator, node: ast.stmt, alias: ast.alias, module: str) -> bool:
    """Whether an import works in the port. One that does not may go if nothing uses it."""
    top = module.split(".")[0]
    own = {path.split("/")[0].removesuffix(".py") for path in tr.project.units}
    if top in sys.stdlib_module_names or top in PORTABLE or top in own:
        return True
    local = (alias.asname or alias.name).split(".")[0]
    used = any(
        isinstance(n, ast.Name) and n.id == local and tr.facts.of(n)
        for n in ast.walk(tr.source.tree)
    )
    if used:
        raise Refused(node, "unsupported_construct", f"the package {top} has no counterpart")
    return False


def _alias(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _from(node: ast.ImportFrom, kept: list[ast.alias]) -> list[str]:
    """The line that imports what is kept, where anything is."""
    module = "." * node.level + (node.module or "")
    return [f"from {module} import {', '.join(map(_alias, kept))}"] if kept else []


def _import_text(tr: FileTranslator, node: ast.stmt, lines: list[str]) -> str:
    if isinstance(tr.source.parents.get(node), ast.Module):
        return "\n".join([*lines, IMPORTS_MARK])
    return "\n".join(lines) or REMOVED
