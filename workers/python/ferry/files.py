"""Import a caller's files from memory: a step has no paths.

`FileFinder` serves modules and packages from ``[{"path", "content"}]``; `linecache` is
filled too, so that tracebacks show lines and `inspect.getsource` works.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

Compile = Callable[[str, str], CodeType]


def compile_plain(source: str, path: str) -> CodeType:
    """The default way to turn a file into code."""
    return compile(source, path, "exec", dont_inherit=True)


def module_name(path: str) -> str:
    """``pkg/a.py`` is ``pkg.a``, ``pkg/__init__.py`` is ``pkg``."""
    name = path.removesuffix(".py").replace("/", ".")
    return name.removesuffix(".__init__")


class FileFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves the modules of `files`; a folder without ``__init__.py`` is a namespace package."""

    def __init__(
        self, files: Sequence[Mapping[str, Any]], compile_file: Compile = compile_plain
    ) -> None:
        self.sources = {f["path"]: f["content"] for f in files if f["path"].endswith(".py")}
        self._paths = {module_name(p): p for p in self.sources}
        self._folders = {
            ".".join(p.split("/")[:n]) for p in self.sources for n in range(1, p.count("/") + 1)
        }
        self._compile = compile_file

    def install(self) -> None:
        """Put the files before everything else that can be imported."""
        for path, text in self.sources.items():
            linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Take the files away again, with the modules made from them."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in {*self._paths, *self._folders}:
            sys.modules.pop(name, None)
        for path in self.sources:
            linecache.cache.pop(path, None)

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        found = self._paths.get(fullname)
        if found is None and fullname not in self._folders:
            return None
        package = found is None or found.endswith("__init__.py")
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=found, is_package=package)
        spec.has_location = found is not None
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        path = self._paths.get(module.__name__)
        if path is None:
            return
        module.__file__ = path
        exec(self._compile(self.sources[path], path), module.__dict__)
