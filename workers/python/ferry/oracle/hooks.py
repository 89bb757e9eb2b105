"""The outputs of every submodule call of one run, in the order in which the calls end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ferry.oracle.trees import Leaves, NotATree, flatten, stored

MAX_ELEMENTS = 32 << 20


@dataclass
class Calls:
    """``calls`` names each recorded call (`path#n`); `tensors` are theirs as `path#n/leaf`."""

    calls: list[str] = field(default_factory=list)
    tensors: Leaves = field(default_factory=dict)
    truncated: bool = False
    _elements: int = 0

    def add(self, call: str, output: Any) -> None:
        """Record the output of one call, unless it is no tree or there is too much already."""
        leaves: Leaves = {}
        try:
            flatten(output, "", leaves)
        except NotATree:
            return
        self._elements += sum(leaf.numel() for leaf in leaves.values())
        if self._elements > MAX_ELEMENTS:
            self.truncated = True
            return
        self.calls.append(call)
        self.tensors |= {f"{call}/{path}": stored(leaf) for path, leaf in leaves.items()}


@contextmanager
def submodule_calls(model: nn.Module) -> Iterator[Calls]:
    """Hook all modules of `model` while the block runs; the root's path is ``.``."""
    calls = Calls()
    counts: Counter[str] = Counter()
    handles = []
    for path, module in model.named_modules():

        def hook(_: nn.Module, __: Any, output: Tensor, path: str = path or ".") -> None:
            calls.add(f"{path}#{counts[path]}", output)
            counts[path] += 1

        handles.append(module.register_forward_hook(hook))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
