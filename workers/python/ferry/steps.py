"""The steps a zygote can run, by name; each environment imports its own, once.

A step is a function ``run(ctx: Context) -> dict`` (`ferry.step`, `docs/steps.md`). Its module
may have a function ``prepare()``: what every run needs and no run changes, done once before forking.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import cast

from ferry.step import Context, Json

Step = Callable[[Context], Json]

STEPS: dict[str, str] = {
    "inspect": "ferry.oracle.inspect_step:run",
    "capture": "ferry.oracle.capture:run",
    "accept": "ferry.oracle.accept:run",
    "sample": "ferry.oracle.sample:run",
    "fingerprint": "ferry.bugs.fingerprint:run",
    "draft": "ferry.translate.draft:run",
    "deliver": "ferry.deliver.deliver:run",
    "check": "ferry.check.check:run",
}

# What a zygote imports before it forks, libraries first.
ENVIRONMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "torch": (
        ("torch", "numpy", "safetensors"),
        ("inspect", "capture", "accept", "sample", "fingerprint", "draft", "deliver"),
    ),
    "jax": (("jax", "flax.nnx", "optax", "numpy", "safetensors"), ("check",)),
}


def load(name: str) -> Step:
    """The function of the step `name`, whose module is imported now if it was not before."""
    module, function = STEPS[name].split(":")
    return cast(Step, getattr(importlib.import_module(module), function))


def load_environment(env: str) -> dict[str, Step]:
    """Import all that the steps of `env` need and return them by name."""
    libraries, names = ENVIRONMENTS[env]
    for library in libraries:
        importlib.import_module(library)
    steps = {name: load(name) for name in names}
    for step in steps.values():
        getattr(sys.modules[step.__module__], "prepare", _nothing)()
    return steps


def _nothing() -> None:
    """The preparation of a step that needs none."""
