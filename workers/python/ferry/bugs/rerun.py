"""Reruns of one submodule of the source on its recorded inputs.

The whole model runs once, as the oracle ran its first case, up to the call in question. What
was under way then are the *scopes*: that call itself, the call that contains it, and so on up
to the root. A difference is looked for in the innermost scope first; an outer one explains
what happens between submodules. While a scope is rerun, calls inside it that agree with the
candidate are left as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ferry.bugs.site import Mutating
from ferry.oracle.cases import Runner
from ferry.oracle.recipe import Weights
from ferry.oracle.state import load, variables
from ferry.oracle.trees import Arguments, Leaves, NotATree, flatten, stored
from ferry.step import StepError

Model = Callable[..., Any]
Call = tuple[str, int]


class _Reached(BaseException):
    """The call in question has returned; the rest of the model is not needed."""


@dataclass
class Scope:
    """A call that was under way: what it was given, and the state that it found."""

    path: str
    module: Model
    arguments: Arguments
    counts: Counter[str]
    random: Tensor
    state: dict[str, Tensor]


@dataclass
class Recorded:
    """The run of the source up to the call in question."""

    output: Leaves
    scopes: list[Scope]
    calls: dict[Call, Leaves]


@dataclass
class _Watch:
    """Counts calls until `target` has returned; records the outputs of it and of `kept`."""

    target: Call
    counts: Counter[str]
    kept: Collection[Call] = ()
    calls: dict[Call, Leaves] = field(default_factory=dict)
    under_way: list[Call] = field(default_factory=list)

    def enters(self, path: str) -> Call:
        """A call begins."""
        call = (path, self.counts[path])
        self.under_way.append(call)
        return call

    def leaves(self, path: str, output: Any) -> None:
        """A call ends; nothing after the target is of interest."""
        call = self.under_way.pop()
        self.counts[path] += 1
        if call == self.target or call in self.kept:
            self.calls[call] = _leaves(output)
        if call == self.target:
            raise _Reached


@contextmanager
def _hooked(
    model: Model,
    paths: dict[int, str],
    before: Callable[[str, nn.Module, Any, Any], None],
    after: Callable[[str, Any], None],
) -> Iterator[None]:
    """Call `before` and `after` around each call of the modules of `model`."""
    handles: list[Any] = []
    modules = list(model.modules()) if isinstance(model, nn.Module) else []

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        before(paths[id(module)], module, args, kwargs)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        after(paths[id(module)], output)

    for module in modules:
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class Source:
    """The source with the weights and arguments of the first case."""

    runner: Runner
    model: Model
    weights: Weights
    arguments: Arguments
    paths: dict[int, str]
    written: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, runner: Runner, weights: Weights, arguments: Arguments) -> Source:
        """A float64 model in eval mode."""
        model = runner.copies.fresh(weights, "eval", "float64")
        named = model.named_modules() if isinstance(model, nn.Module) else []
        paths = {id(module): path or "." for path, module in named}
        return cls(runner, model, weights, arguments.copied(wide=True), paths)

    def record(self, target: Call, kept: Collection[Call]) -> Recorded | None:
        """Run up to `target`, None where that is not called; outputs of `kept` are recorded."""
        if not isinstance(self.model, nn.Module):
            return self._record_function()
        watch = _Watch(target, Counter(), kept)
        stack: list[Scope] = []
        scopes: list[Scope] = []

        def before(path: str, module: nn.Module, args: Any, kwargs: Any) -> None:
            call = watch.enters(path)
            stack.append(_scope(path, module, Arguments(list(args), dict(kwargs)), watch.counts))
            if call == target:
                scopes.extend(reversed(stack))

        def after(path: str, output: Any) -> None:
            stack.pop()
            watch.leaves(path, output)

        versions = {name: p._version for name, p in self.model.named_parameters()}
        with _hooked(self.model, self.paths, before, after):
            self._run(self.model, self.arguments)
        now = self.model.named_parameters()
        self.written = [name for name, p in now if p._version != versions.get(name)]
        if not scopes or target not in watch.calls:
            return None
        return Recorded(watch.calls.pop(target), scopes, watch.calls)

    def _record_function(self) -> Recorded:
        scope = _scope(".", self.model, self.arguments, Counter())
        output = self._run(self.model, scope.arguments.copied())
        return Recorded(_leaves(output), [scope], {})

    def rerun(
        self, scope: Scope, target: Call, shielded: set[Call], mutating: Mutating
    ) -> Leaves | None:
        """The output of `target` when `scope` runs again under `mutating`; None if it fails."""
        watch = _Watch(target, Counter(scope.counts))

        def before(path: str, *_: Any) -> None:
            mutating.paused += watch.enters(path) in shielded

        def after(path: str, output: Any) -> None:
            mutating.paused -= watch.under_way[-1] in shielded
            watch.leaves(path, output)

        self._restore(scope)
        arguments = scope.arguments.copied()
        try:
            with _hooked(scope.module, self.paths, before, after), mutating:
                output = self._run(scope.module, arguments, scope.random)
        except StepError:
            return None
        if isinstance(scope.module, nn.Module):
            return watch.calls.get(target)
        return _leaves(output)

    def _restore(self, scope: Scope) -> None:
        """The state that the scope found; parameters only where a run writes into them."""
        if isinstance(scope.module, nn.Module):
            load(scope.module, scope.state)
        if self.written and isinstance(self.model, nn.Module):
            load(self.model, {name: self.weights[name] for name in self.written})

    def _run(self, model: Model, arguments: Arguments, random: Tensor | None = None) -> Any:
        """Run `model` as the oracle does, with its random numbers from `random` on."""

        def started(*args: Any, **kwargs: Any) -> Any:
            if random is not None:
                torch.set_rng_state(random)
            return model(*args, **kwargs)

        try:
            return self.runner.run_once(started, arguments, "float64")
        except _Reached:
            return None


def _scope(path: str, module: Model, arguments: Arguments, counts: Counter[str]) -> Scope:
    state = {}
    if isinstance(module, nn.Module):
        kept = [v for v in variables(module) if v.kind != "parameter"]
        state = {v.name: v.tensor.detach().clone() for v in kept}
    random = torch.get_rng_state()
    return Scope(path, module, arguments.copied(), Counter(counts), random, state)


def _leaves(output: Any) -> Leaves:
    leaves: Leaves = {}
    try:
        flatten(output, "", leaves)
    except NotATree:
        return {}
    return {name: stored(leaf) for name, leaf in leaves.items()}
