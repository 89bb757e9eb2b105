"""The installed packages that a source takes its classes from, cut down to what it ran of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

from ferry.oracle.constructing import Effects
from ferry.oracle.source import list_imports, parse_all
from ferry.slicing.installed import Installed, module_of
from ferry.slicing.slice import Slice, hidden, slice_packages

Json = dict[str, Any]


def slice_of(request: Json, run: Callable[[], Collection[str]]) -> Slice:
    """Import the packages anew, watch `run` (which gives the classes of the model's modules), and cut.

    An empty slice where the files import no package that a port could not import as well.
    """
    effects = Effects()
    installed = Installed(effects.watch, effects.found)
    files = parse_all(request["files"])
    tops = {name for name in list_imports(files) if _is_sliced(name, installed)}
    if not tops:
        return Slice()
    with hidden(lambda name: _is_sliced(name, installed)):
        with installed.trace.following():
            classes = run()
        entry = entry_of(request).rpartition(":")[2]
        return slice_packages(
            installed, request["files"], _expressions(request), entry, set(classes)
        )


def _is_sliced(name: str, installed: Installed) -> bool:
    """Whether an imported module was read from a file that can be cut; extension modules stay."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return isinstance(file, str) and module_of(file, installed.roots) == name


def _expressions(request: Json) -> list[str]:
    return [request["init_expr"]] if request.get("init_expr") else []


def entry_of(request: Json) -> str:
    """The entry as inspect found it, with its module."""
    entry = (request.get("inspected") or {}).get("entry") or {}
    return f"{entry['module']}:{entry['name']}" if entry else request.get("entry") or ""


def with_slice(request: Json, sliced: Slice) -> Json:
    """The request with the slice's files beside its own, and its entry spelled out."""
    if not sliced.files:
        return request
    files = [*request["files"], *sliced.files]
    return {**request, "files": files, "entry": entry_of(request)}
