"""The random draws of a run, in order, so that the other side can replay them by position."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ferry.oracle.modes import EagerMode
from ferry.oracle.trees import dtype_name

# aten name without its trailing underscore → the draw's name in the plan
OPS = {
    "bernoulli": "bernoulli",
    "rand": "uniform",
    "rand_like": "uniform",
    "uniform": "uniform",
    "rrelu_with_noise": "uniform",
    "randn": "normal",
    "randn_like": "normal",
    "normal": "normal",
    "randint": "randint",
    "randint_like": "randint",
    "random": "randint",
    "randperm": "permutation",
    "multinomial": "multinomial",
    "exponential": "exponential",
    "log_normal": "log_normal",
    "cauchy": "cauchy",
    "geometric": "geometric",
    "poisson": "poisson",
    "binomial": "binomial",
    "_standard_gamma": "gamma",
    "_sample_dirichlet": "dirichlet",
}


# operations whose order among equal values torch leaves open
UNORDERED = {"topk", "sort", "median", "mode"}


@dataclass
class Draw:
    """One draw: the values it gave, and the numbers it was asked for."""

    op: str
    params: dict[str, float]
    values: Tensor

    def to_json(self, tensor: str) -> dict[str, Any]:
        """The *draw* of steps.md; its values lie in given under the name `tensor`."""
        return {
            "op": self.op,
            "shape": list(self.values.shape),
            "dtype": dtype_name(self.values.dtype),
            "params": self.params,
            "tensor": tensor,
        }


class Draws(EagerMode):
    """Records the draws of the block; with `replay` it makes them give those values instead.

    Drawn floats are rounded to what float32 holds, so that a float32 run can repeat the
    draws of its float64 truth. ``diverged`` says that a replay did not fit by position,
    ``drew_elsewhere`` that the run drew from a generator that is not torch's, ``tied`` that
    an operation had to order equal values, which torch does as it likes.
    """

    def __init__(self, replay: list[Draw] | None = None) -> None:
        super().__init__()
        self.draws: list[Draw] = []
        self.diverged = False
        self.drew_elsewhere = False
        self.tied = False
        self._replay = replay

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        result = func(*args, **kwargs)
        op = OPS.get(name.removesuffix("_")) if func.namespace == "aten" else None
        if name == "native_dropout":
            self._record("bernoulli", {"p": 1.0 - args[1]}, result[1])
        elif op is not None:
            drawn = args[1] if op == "uniform" and name.startswith("rrelu") else result
            self._record(op, _params(func, args, kwargs), drawn)
        elif name in UNORDERED and not self.tied:
            self.tied = has_ties(func, args, kwargs)
        return result

    def _record(self, op: str, params: dict[str, float], drawn: Tensor) -> None:
        position = len(self.draws)
        if self._replay is not None:
            known = self._replay[position] if position < len(self._replay) else None
            if known is None or known.op != op or known.values.shape != drawn.shape:
                self.diverged = True
            else:
                drawn.copy_(known.values)
        elif drawn.dtype == torch.double:
            # by way of numpy: in a float64 run torch's own float32 means float64
            drawn.copy_(torch.from_numpy(drawn.numpy().astype("float32")))
        values = drawn.detach().clone(memory_format=torch.contiguous_format)
        values = values != 0 if op == "bernoulli" else values
        self.draws.append(Draw(op, params, values))


def has_ties(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether what an ordering operation gives depends on the order of equal values."""
    named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    values, dim = named["self"], named.get("dim", -1)
    if named.get("stable") or values.dim() == 0:
        return False
    largest = bool(named.get("largest", named.get("descending", False)))
    if func._schema.name == "aten::topk":
        largest = bool(named.get("largest", True))
    ordered = torch.sort(values.detach(), dim=dim, descending=largest, stable=True).values
    # of topk only the first k are given, and the next one could have stood among them
    count = min(int(named.get("k", values.shape[dim])) + 1, values.shape[dim])
    ordered = ordered.narrow(dim, 0, count)
    # XLA takes float32's subnormal numbers for zero
    closest = torch.finfo(torch.float32).tiny if ordered.is_floating_point() else 0
    gaps = ordered.diff(dim=dim).abs()
    return bool((gaps < closest).any() if closest else (gaps == 0).any())


def _params(func: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, float]:
    """The numbers among the arguments of a drawing operation, by the schema's names."""
    named = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    for argument in func._schema.arguments:
        if argument.name not in named and argument.has_default_value():
            named[argument.name] = argument.default_value
    numbers = {k: v for k, v in named.items() if isinstance(v, int | float) and math.isfinite(v)}
    rename = {"from": "low", "to": "high"}
    skip = {"pin_memory", "dtype", "layout"}
    return {rename.get(k, k): v for k, v in numbers.items() if k not in skip and k != "self"}


def python_draws() -> Callable[[], bool]:
    """Call the answer later: has anything drawn from `random` or from numpy since?"""

    def now() -> tuple[Any, ...]:
        _, keys, position, *_ = np.random.get_state(legacy=True)
        return random.getstate(), position, np.asarray(keys).tobytes()

    before = now()
    return lambda: now() != before
