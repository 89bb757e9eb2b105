"""The candidate's files: parsed, imported from memory, its entry found."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from flax import nnx

from ferry.check.adapter import FILE
from ferry.check.guard import FORBIDDEN
from ferry.files import FileFinder, module_name
from ferry.step import StepError


class Candidate:
    """A candidate's files and, once imported, its entry."""

    def __init__(
        self,
        files: Sequence[Mapping[str, Any]],
        entry: Mapping[str, Any],
        adapter: str | None = None,
    ) -> None:
        """`adapter` is the text of `ferry.check.adapter`, if the candidate comes with one."""
        self.files = {file["path"]: file["content"] for file in files}
        self.adapter = adapter
        if adapter is not None:
            self.files[FILE] = adapter
        self.entry = entry
        self._finder = FileFinder(files)
        self.trees: dict[str, ast.Module] = {}
        self.module: ModuleType | None = None
        self.target: Any = None

    @property
    def is_class(self) -> bool:
        """Whether the entry is a module class (otherwise it is a function)."""
        return bool(self.entry["kind"] == "class")

    def parse(self) -> None:
        """Parse every file; the first that does not parse is the error."""
        extra = {} if self.adapter is None else {FILE: self.adapter}
        for path, text in {**self._finder.sources, **extra}.items():
            try:
                self.trees[path] = ast.parse(text, filename=path)
            except (SyntaxError, ValueError) as error:
                raise StepError(
                    "candidate_error",
                    f"SyntaxError: {getattr(error, 'msg', error)}",
                    file=path,
                    line=getattr(error, "lineno", None),
                    text=(getattr(error, "text", None) or "").strip() or None,
                    why="syntax",
                ) from error

    def load(self, any_style: bool = False) -> None:
        """Import the entry's module from memory and find the entry in it.

        A class must be one of nnx, unless `any_style` is allowed; then the module may have
        another name too, where only one file defines the entry.
        """
        self._refuse_forbidden_imports()
        self._finder.install()
        name = self._module(anywhere=any_style)
        if name not in {module_name(path) for path in self._finder.sources}:
            raise StepError("candidate_error", f"no file is the module {name}", why="no_entry")
        try:
            self.module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            message = f"the candidate needs {error.name}, which is not installed"
            raise StepError("candidate_import", message, why="missing_package") from error
        self.target = _find(self.module, self.entry["name"])
        if not callable(self.target):
            message = f"{name} has no {self.entry['name']} that can be called"
            raise StepError("candidate_error", message, why="no_entry")
        if self.is_class and not any_style and not _is_module_class(self.target):
            message = f"{self.entry['name']} is not a class derived from nnx.Module"
            raise StepError("candidate_error", message, why="not_a_module")

    def modules(self) -> list[ModuleType]:
        """The candidate's modules that were imported."""
        names = [module_name(path) for path in self._finder.sources]
        return [sys.modules[name] for name in names if name in sys.modules]

    def unload(self) -> None:
        """Forget the candidate's modules."""
        self._finder.uninstall()

    def _module(self, anywhere: bool) -> str:
        """The name of the entry's module."""
        named = str(self.entry["module"])
        paths = [p for p in self._finder.sources if _defines(self.trees[p], self.entry["name"])]
        known = named in {module_name(path) for path in self._finder.sources}
        return module_name(paths[0]) if anywhere and not known and len(paths) == 1 else named

    def _refuse_forbidden_imports(self) -> None:
        for path, tree in self.trees.items():
            for node, name in _imports(tree):
                if name.partition(".")[0] in FORBIDDEN:
                    raise StepError(
                        "candidate_import",
                        f"the candidate imports {name}",
                        file=path,
                        line=node.lineno,
                        text=self.files[path].splitlines()[node.lineno - 1].strip(),
                        why="forbidden_import",
                    )


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every absolute import of a file, with the module's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node, node.module


def _defines(tree: ast.Module, name: str) -> bool:
    """Whether a file defines a class or function of this name at its top level."""
    defined = (node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef)))
    return any(node.name == name for node in defined)


def _find(module: ModuleType, qualified: str) -> Any:
    """An object of a module by its qualified name, None if it is not there."""
    found: Any = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found


def _is_module_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nnx.Module)
