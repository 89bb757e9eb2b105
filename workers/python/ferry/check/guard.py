"""What a candidate's Python may not do while it is checked, noticed as it does it.

A candidate is a model: it needs neither files, environment, threads, frames of its callers nor
torch, and it leaves jax, flax and numpy as they are. None of this could make a wrong candidate
right, because the expected values are nowhere in the process; it could make the code that was
checked another one than the code that is delivered. So whatever is noticed fails the stage in
which it happened and every later one, even where the candidate caught the exception.

Interpreter events (PEP 578) tell who does what: an event is the candidate's if the innermost
frame that is not a library's own detour belongs to one of its files.
"""

from __future__ import annotations

import importlib.abc
import operator
import os
import sys
import sysconfig
import types
from collections.abc import Container, Iterator, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any
from unittest import mock

import jax

from ferry.check.precision import set_option
from ferry.check.watched import patched
from ferry.step import StepError

#: What a candidate may not import: its output must stand alone, without PyTorch.
FORBIDDEN = ("torch", "torchvision", "torchaudio", "ferry")

#: Packages whose functions and classes a candidate must leave alone.
LIBRARIES = (
    "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "ml_dtypes", "ferry", "builtins", "abc",
    "ast", "collections", "contextlib", "copy", "dataclasses", "functools", "importlib", "inspect",
    "io", "itertools", "json", "math", "operator", "os", "re", "struct", "time", "traceback",
    "types", "unittest",
)  # fmt: skip

#: Precisions of matrix products that are not below that of a check.
PRECISE = (None, "highest", "float32", "F32_F32_F32", "default")

# How far an event is followed outwards to a file of the candidate: through no other frame,
# through frames of the standard library, or through all but those of the import system.
DIRECT, STANDARD, ANY = "direct", "standard", "any"

EVENTS: dict[str, tuple[str, str]] = {
    "compile": (DIRECT, "dynamic_code"),
    "exec": (DIRECT, "dynamic_code"),
    "open": (ANY, "reads_files"),
    "os.listdir": (ANY, "reads_files"),
    "os.scandir": (ANY, "reads_files"),
    "os.system": (ANY, "starts_process"),
    "os.exec": (ANY, "starts_process"),
    "os.fork": (ANY, "starts_process"),
    "os.posix_spawn": (ANY, "starts_process"),
    "subprocess.Popen": (ANY, "starts_process"),
    "socket.__new__": (ANY, "opens_socket"),
    "mmap.__new__": (STANDARD, "reads_memory"),
    "ctypes.dlopen": (STANDARD, "reads_memory"),
    "ctypes.dlsym": (STANDARD, "reads_memory"),
    "ctypes.cdata": (STANDARD, "reads_memory"),
    "ctypes.cdata/buffer": (STANDARD, "reads_memory"),
    "ctypes.string_at": (STANDARD, "reads_memory"),
    "gc.get_objects": (STANDARD, "inspects_process"),
    "gc.get_referrers": (STANDARD, "inspects_process"),
    "gc.get_referents": (STANDARD, "inspects_process"),
    "sys._getframe": (STANDARD, "inspects_stack"),
    "sys._current_frames": (STANDARD, "inspects_stack"),
    "sys.settrace": (STANDARD, "inspects_stack"),
    "sys.setprofile": (STANDARD, "inspects_stack"),
    "sys.addaudithook": (STANDARD, "inspects_process"),
    "object.__getattr__": (DIRECT, "inspects_stack"),
    "object.__setattr__": (DIRECT, "patches_library"),
}

#: Attributes that lead from an exception or a generator to frames.
FRAME_ATTRIBUTES = ("tb_frame", "gi_frame", "cr_frame", "ag_frame")

#: Attributes by which a function becomes another one.
CODE_ATTRIBUTES = ("__code__", "__defaults__", "__kwdefaults__")

#: Modules of the standard library that hand frames on; others use them for their own ends.
FRAME_MODULES = ("inspect.py", "traceback.py")

STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
SITE_PACKAGES = os.sep + "site-packages" + os.sep

Snapshot = list[tuple[Any, dict[str, Any], frozenset[str] | None]]

_current: Guard | None = None
_installed = False


class Guard:
    """Watches one candidate from before its import until `close`."""

    def __init__(self, files: Container[str]) -> None:
        self._files = files
        self._stack = ExitStack()
        self._snapshot: Snapshot = []
        self._config: dict[str, Any] = {}
        self._busy = False
        self.found: StepError | None = None

    def open(self) -> None:
        """Start watching; a backend must be there, so that starting it is not the candidate's."""
        global _current, _installed
        jax.devices()
        self._config = dict(jax.config.values)
        if not _installed:
            sys.addaudithook(_on_event)
            _installed = True
        self._stack.enter_context(mock.patch.object(os, "environ", _Environment(self, os.environ)))
        self._stack.enter_context(patched(self._refuse_call))
        self._snapshot = [(o, named, _names(o)) for o, named in _definitions()]
        self._hide_ferry()
        barrier = _Barrier(self)
        sys.meta_path.insert(0, barrier)
        self._stack.callback(sys.meta_path.remove, barrier)
        _current = self

    def close(self) -> None:
        """Stop watching and put everything back."""
        global _current
        _current = None
        for owner, name, value in list(_changes(self._snapshot)):
            if value is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        self._stack.close()
        for name, value in self._config.items():
            if jax.config.values[name] != value:
                set_option(name, value)

    def verify(self) -> None:
        """Raise what was noticed so far, or a library that is not as it was."""
        if self.found is None:
            changes = (f"{_named(owner)}.{name}" for owner, name, _ in _changes(self._snapshot))
            changed = next(changes, None)
            if jax.config.values["jax_disable_jit"]:
                changed = "jax.jit (by jax_disable_jit)"
            if jax.config.values["jax_default_matmul_precision"] not in PRECISE:
                changed = "the precision of products (by jax_default_matmul_precision)"
            if changed is not None:
                self.found = _error("patches_library", f"the candidate replaces {changed}")
        if self.found is not None:
            raise self.found

    def event(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Judge one interpreter event; raises in the candidate's face where it is refused."""
        if self._busy:
            return
        self._busy = True
        try:
            reach, why = EVENTS[name]
            if _concerns(name, arguments) and self._is_own(sys._getframe(2), name, reach):
                self.refuse(why, f"{name} {_shown(arguments)}".strip())
        finally:
            self._busy = False

    def refuse(self, why: str, what: str) -> None:
        """Remember and raise a violation."""
        self.found = self.found or _error(why, f"the candidate may not do this: {what}")
        raise self.found

    def reads_environment(self) -> None:
        """Called where `os.environ` is read."""
        if not self._busy and self._is_own(sys._getframe(2), "environ", STANDARD):
            self.refuse("reads_environment", "read the environment")

    def _refuse_call(self, name: str, reach: str, why: str) -> None:
        """Refuse a call of a watched function, two frames out, if it is the candidate's."""
        if not self._busy and self._is_own(sys._getframe(2), name, reach):
            self.refuse(why, f"call {name}")

    def _is_own(self, frame: types.FrameType | None, event: str, reach: str) -> bool:
        """Whether the candidate is who caused an event, seen from the frame it happened in."""
        while frame is not None:
            name = frame.f_code.co_filename
            if name in self._files:
                return True
            if not _is_transparent(name, event, reach):
                return False
            frame = frame.f_back
        return False

    def _hide_ferry(self) -> None:
        """Take this package out of `sys.modules`: what imports it from now on is noticed."""
        hidden = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "ferry"}
        for name in hidden:
            del sys.modules[name]
        self._stack.callback(sys.modules.update, hidden)


def _on_event(name: str, arguments: tuple[Any, ...]) -> None:
    if _current is not None and name in EVENTS:
        _current.event(name, arguments)


def _concerns(name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an event of this kind is one that matters."""
    if name == "object.__getattr__":
        return arguments[1] in FRAME_ATTRIBUTES
    if name == "object.__setattr__":
        return arguments[1] in CODE_ATTRIBUTES
    return True


def _is_transparent(file: str, event: str, reach: str) -> bool:
    """Whether a frame of `file` may act for whoever called it."""
    importing = file.startswith("<frozen importlib")
    standard = file.startswith(("<frozen", STANDARD_LIBRARY)) and SITE_PACKAGES not in file
    if reach == DIRECT or importing or file.endswith("linecache.py"):
        return False
    if event == "sys._getframe":
        return standard and file.endswith(FRAME_MODULES)
    return reach == ANY or standard or file == __file__


def _definitions() -> Iterator[tuple[Any, dict[str, Any]]]:
    """The functions and classes of the libraries' modules, and the methods of the classes."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in LIBRARIES and module is not None
    ]
    classes: set[type] = set()
    for module in modules:
        named = {n: v for n, v in list(vars(module).items()) if callable(v)}
        classes.update(v for v in named.values() if isinstance(v, type))
        yield module, named
    for cls in classes:
        if cls.__module__.partition(".")[0] in LIBRARIES:
            yield cls, {n: v for n, v in vars(cls).items() if isinstance(v, METHODS)}


#: What stands for the value of something that was not there.
ABSENT = object()

METHODS = (
    types.FunctionType, types.BuiltinFunctionType, types.WrapperDescriptorType,
    types.MethodDescriptorType, property, classmethod, staticmethod,
)  # fmt: skip


def _changes(snapshot: Snapshot) -> Iterator[tuple[Any, str, Any]]:
    """What is no longer as it was: where, its name, and what it was."""
    for owner, before, known in snapshot:
        now = vars(owner)
        if _untouched(now, before, known):
            continue
        for name, value in before.items():
            if now.get(name) is not value:
                yield owner, name, value
        if isinstance(owner, type):
            for name in [n for n, v in now.items() if isinstance(v, METHODS) and n not in before]:
                yield owner, name, ABSENT


def _names(owner: Any) -> frozenset[str] | None:
    """All names of a class, which must not get new methods; None for a module, which may grow."""
    return frozenset(vars(owner)) if isinstance(owner, type) else None


def _untouched(
    now: Mapping[str, Any], before: dict[str, Any], known: frozenset[str] | None
) -> bool:
    """Whether `before` is still there and no name was added, as fast as that can be told."""
    same = all(map(operator.is_, map(now.get, before), before.values()))
    return same and (known is None or now.keys() == known)


def _named(owner: Any) -> str:
    return str(getattr(owner, "__name__", owner))


class _Barrier(importlib.abc.MetaPathFinder):
    """Notices every import of what may not be imported, by whichever function."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.partition(".")[0] in FORBIDDEN:
            self._guard.refuse("forbidden_import", f"import {fullname}")


def _error(why: str, message: str) -> StepError:
    code = "candidate_import" if why == "forbidden_import" else "candidate_error"
    return StepError(code, message, why=why)


def _shown(arguments: tuple[Any, ...]) -> str:
    """The first argument of an event, if it is text."""
    return arguments[0][:80] if arguments and isinstance(arguments[0], str) else ""


class _Environment(MutableMapping[str, str]):
    """`os.environ`, which the candidate may write but not read."""

    def __init__(self, guard: Guard, inner: Mapping[str, str]) -> None:
        self._guard = guard
        self._values = dict(inner)

    def __getitem__(self, name: str) -> str:
        self._guard.reads_environment()
        return self._values[name]

    def setdefault(self, name: str, default: Any = None) -> str:
        """Set without telling what was there."""
        self._values.setdefault(name, default)
        return str(default)

    def __setitem__(self, name: str, value: str) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        self._guard.reads_environment()
        return iter(self._values)

    def __len__(self) -> int:
        self._guard.reads_environment()
        return len(self._values)
