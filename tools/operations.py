"""Prints the names of torch that the builtin engine ports, one a line, for GET /v1/engines.

PYTHONPATH=workers/python build/envs/torch/bin/python tools/operations.py > api/operations.txt
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from ferry.translate import library
from ferry.translate.table import OPERATIONS

SPACES = {
    "torch": torch,
    "torch.nn": torch.nn,
    "torch.nn.functional": torch.nn.functional,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
    "torch.fft": torch.fft,
    "Tensor": torch.Tensor,
}


def names() -> list[str]:
    """All names, sorted: of the table, and of the prelude where torch has them."""
    found = {name for name in OPERATIONS if exists(name)}
    found |= {name for name in prelude_names() if exists(name)}
    return sorted(found)


def prelude_names() -> Iterator[str]:
    """The names that the prelude's definitions answer to."""
    for name, definition in library.load().definitions.items():
        if definition.is_class:
            yield f"torch.nn.{name}"
        elif name.startswith("linalg_"):
            yield f"torch.linalg.{name.removeprefix('linalg_')}"
        else:
            yield from (f"{space}.{name}" for space in ("torch", "torch.nn.functional", "Tensor"))


def exists(dotted: str) -> bool:
    """Whether torch has a name that can be called."""
    space, _, name = dotted.rpartition(".")
    return callable(getattr(SPACES.get(space), name, None))


if __name__ == "__main__":
    print("\n".join(names()))
