"""Outputs of every submodule call, to find the first place where a candidate differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import jax.numpy as jnp
from flax import nnx
from jax._src import core

from ferry.check.trees import flatten_output
from ferry.deliver.bundle.load_weights import dotted
from ferry.step import StepError

CALL = "__call__"


class Recorder:
    """While entered, records what each module inside `model` returns, in execution order.

    Only calls in the trace that was current at the start are recorded: values of an inner one
    (a scan, a vmap) may not leave it. A class that calls its parent's ``__call__`` counts once.
    """

    def __init__(self, model: Any) -> None:
        self.outputs: dict[str, Any] = {}
        self._paths = {
            id(node): dotted(path) or "."
            for path, node in nnx.iter_graph(model)
            if isinstance(node, nnx.Module)
        }
        self._classes = {type(n) for _, n in nnx.iter_graph(model) if isinstance(n, nnx.Module)}
        self._calls: Counter[str] = Counter()
        self._active: set[int] = set()
        self._stack = ExitStack()
        self._trace = core.trace_ctx.trace

    def __enter__(self) -> Recorder:
        for cls in self._classes:
            original = getattr(cls, CALL, None)  # a container of modules has none
            if original is not None:
                self._stack.enter_context(mock.patch.object(cls, CALL, self._wrap(original)))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            key = id(module)
            if key not in self._paths or key in self._active:
                return original(module, *args, **kwargs)
            self._active.add(key)
            try:
                result = original(module, *args, **kwargs)
            finally:
                self._active.discard(key)
            self._record(self._paths[key], result)
            return result

        return call

    def _record(self, path: str, result: Any) -> None:
        if core.trace_ctx.trace is not self._trace:
            return
        number = self._calls[path]
        self._calls[path] += 1
        try:
            _, leaves = flatten_output(result)
        except StepError:
            return
        for leaf_path, leaf in leaves.items():
            self.outputs[f"sub/{path}#{number}/{leaf_path}"] = jnp.asarray(leaf)
