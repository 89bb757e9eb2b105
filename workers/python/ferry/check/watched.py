"""Functions of the standard library that raise no event of the interpreter and that no model needs.

A candidate that asks for the time or for its process can be right today and here only; one that
reads and writes descriptors, or leaves code to be run at exit or on a signal, reaches what the
process hands back. Each is replaced while a candidate is checked (`patched`): called by the
candidate it is refused, called by a library it is what it was.
"""

from __future__ import annotations

import _signal
import _thread
import atexit
import datetime
import os
import posix
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

# How far a call is followed outwards to a file of the candidate: see `ferry.check.guard.EVENTS`.
DIRECT, STANDARD = "direct", "standard"

#: Modules, names in them, how far a call is followed, and the reason of a refusal.
WATCHED: list[tuple[tuple[ModuleType, ...], tuple[str, ...], str, str]] = [
    ((_thread,), ("start_new_thread",), STANDARD, "starts_thread"),
    ((threading,), ("_start_new_thread",), STANDARD, "starts_thread"),
    ((os, posix), ("read", "write", "pread", "pwrite", "readv", "writev", "preadv", "pwritev",
                   "lseek", "ftruncate", "truncate", "dup", "dup2", "close", "closerange",
                   "sendfile", "copy_file_range", "splice"), STANDARD, "uses_descriptors"),
    ((os, posix), ("getpid", "getppid", "getuid", "uname", "getcwd", "cpu_count", "urandom"),
     DIRECT, "inspects_process"),
    ((time,), ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
               "process_time", "process_time_ns", "thread_time", "thread_time_ns", "localtime",
               "gmtime", "ctime", "strftime", "clock_gettime", "clock_gettime_ns"),
     DIRECT, "reads_clock"),
    ((atexit,), ("register", "unregister", "_run_exitfuncs"), STANDARD, "outlives_check"),
    ((signal, _signal), ("signal", "setitimer", "alarm", "set_wakeup_fd", "raise_signal"),
     STANDARD, "outlives_check"),
]  # fmt: skip

#: Classes whose methods of these names ask the clock.
DATED = ((datetime, "datetime", ("now", "utcnow", "today")), (datetime, "date", ("today",)))

#: Refuses a call in whose frame it is called, if it is the candidate's: name, reach, reason.
Refuse = Callable[[str, str, str], None]


@contextmanager
def patched(refuse: Refuse) -> Iterator[None]:
    """Watch all of these functions; each asks `refuse` before it does what it does."""
    with ExitStack() as stack:
        for modules, names, reach, why in WATCHED:
            for module in modules:
                for name in filter(module.__dict__.__contains__, names):
                    watched = _watched(getattr(module, name), name, reach, why, refuse)
                    stack.enter_context(mock.patch.object(module, name, watched))
        for module, name, methods in DATED:
            dated = _dated(getattr(module, name), methods, refuse)
            stack.enter_context(mock.patch.object(module, name, dated))
        yield


def _watched(
    function: Callable[..., Any], name: str, reach: str, why: str, refuse: Refuse
) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        refuse(name, reach, why)
        return function(*args, **kwargs)

    return watched


def _dated(cls: type, methods: tuple[str, ...], refuse: Refuse) -> type:
    """A class like `cls` whose `methods` are watched."""

    def method(name: str) -> Any:
        def watched(own: type, *args: Any, **kwargs: Any) -> Any:
            refuse(f"{cls.__name__}.{name}", DIRECT, "reads_clock")
            return getattr(cls, name)(*args, **kwargs)

        return classmethod(watched)

    return type(cls.__name__, (cls,), {name: method(name) for name in methods})
