"""The few lines by which a port of another style is built and called.

An adapter is Python text that is run after the candidate's modules are there. It may define

* ``build(entry, args, kwargs)``: the model from the entry and the constructor's arguments. An
  `nnx.Module`, a `flax.linen` module, or any tree of arrays (an Equinox module, a dict of
  parameters), see `tree_model`;
* ``call(model, args, kwargs)``: the output; a fourth argument, if it has one, is whether the
  model is in train mode;
* ``step(model, args, kwargs)``: for a tree in train mode, the output and the new tree.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ferry.step import StepError

#: The name under which an adapter's text appears in tracebacks.
FILE = "<adapter>"

PARTS = ("build", "call", "step")

#: An adapter has at most so many lines that are not empty: it calls the port, it is none.
MOST_LINES = 40


class Adapter:
    """What an adapter defines; all parts may be missing."""

    def __init__(self) -> None:
        self.build: Callable[..., Any] | None = None
        self.call: Callable[..., Any] | None = None
        self.step: Callable[..., Any] | None = None
        self._takes_mode = False

    def load(self, text: str) -> None:
        """Run the adapter's text and take what it defines."""
        lines = text.splitlines(keepends=True)
        if sum(bool(line.strip()) for line in lines) > MOST_LINES:
            message = (
                f"the adapter has more than {MOST_LINES} lines: what it computes is not proven"
            )
            raise StepError("candidate_error", message, file=FILE, why="long_adapter")
        linecache.cache[FILE] = (len(text), None, lines, FILE)
        module = ModuleType("adapter")
        exec(compile(text, FILE, "exec", dont_inherit=True), vars(module))
        for name in PARTS:
            setattr(self, name, getattr(module, name, None))
        if self.build is None and self.call is None and self.step is None:
            message = "the adapter defines neither build nor call"
            raise StepError("candidate_error", message, file=FILE, why="empty_adapter")
        if self.call is not None:
            self._takes_mode = len(inspect.signature(self.call).parameters) > 3

    def call_with(self, model: Any, args: list[Any], kwargs: dict[str, Any], train: bool) -> Any:
        """Call `model` through `call`, or as it is where the adapter has none."""
        if self.call is None:
            return model(*args, **kwargs)
        return self.call(model, args, kwargs, *([train] if self._takes_mode else []))
