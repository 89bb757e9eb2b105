"""What a step sees of the world: a request, tensors in, tensors out, a result.

The protocol is `docs/steps.md`. A step is a function ``run(ctx) -> dict``; it has no
paths, only this context. `zygote` makes one from descriptors, tests make one in memory.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]


class StepError(Exception):
    """An expected failure: something is wrong with what the caller or an engine sent.

    `code` is a job reason of `daemon/vocab.h`; the other fields place it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        text: str | None = None,
        why: str | None = None,
        traceback: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.file = file
        self.line = line
        self.text = text
        self.why = why
        self.traceback = traceback

    def to_json(self) -> Json:
        """The `error` object of a step's result."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "text": self.text,
            "why": self.why,
            "traceback": self.traceback,
        }


class Context(Protocol):
    """What a step may touch."""

    request: Json

    def read(self, name: str) -> memoryview:
        """Bytes of the input tensors `name` (a safetensors file)."""

    def write(self, name: str, data: bytes) -> None:
        """Store the output tensors `name` (a safetensors file), once."""


@dataclass
class MemoryContext:
    """A context without descriptors, for tests and for tools."""

    request: Json
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> memoryview:
        return memoryview(self.inputs[name])

    def write(self, name: str, data: bytes) -> None:
        self.outputs[name] = bytes(data)


class FdContext:
    """The context of a real step: every name is an open descriptor."""

    def __init__(self, request_fd: int, inputs: Mapping[str, int], outputs: Mapping[str, int]):
        self.request: Json = json.loads(bytes(_map(request_fd)))
        self._inputs = dict(inputs)
        self._outputs = dict(outputs)

    def read(self, name: str) -> memoryview:
        return _map(self._inputs[name])

    def write(self, name: str, data: bytes) -> None:
        write_all(self._outputs[name], data)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` to `fd`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _map(fd: int) -> memoryview:
    size = os.fstat(fd).st_size
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ)) if size else memoryview(b"")
