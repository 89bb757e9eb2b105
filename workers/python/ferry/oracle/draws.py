"""The random draws of a run, in order, so that the other side can replay them by position."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ferry.oracle.modes import EagerMode
from ferry.oracle.trees import Leaves, dtype_name

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

DRAWING = {"native_dropout", *OPS}

# operations whose order among equal values torch leaves open
UNORDERED = {"topk", "sort", "median", "mode"}


@dataclass
class Draw:
    """One draw: the values it gave, and the numbers it was asked for.

    `asked` has what decides its distribution and is not in the values: probabilities, weights,
    bounds. `noise` of a choice by weights is what Gumbel's trick has to draw to choose the same.
    """

    op: str
    params: dict[str, float]
    values: Tensor
    asked: Leaves = field(default_factory=dict)
    noise: Tensor | None = None

    def to_json(self, tensor: str) -> dict[str, Any]:
        """The *draw* of steps.md; its values lie in given under the name `tensor`."""
        found: dict[str, Any] = {
            "op": self.op,
            "shape": list(self.values.shape),
            "dtype": dtype_name(self.values.dtype),
            "params": self.params,
            "tensor": tensor,
        }
        if self.asked:
            found["asked"] = {name: list(value.shape) for name, value in self.asked.items()}
        if self.noise is not None:
            found["gumbel"] = f"{tensor}/gumbel"
        return found

    def given(self, tensor: str) -> Leaves:
        """Its tensors in given."""
        noise = {} if self.noise is None else {f"{tensor}/gumbel": self.noise}
        return {tensor: self.values, **noise}

    def copied(self) -> Draw:
        """The same in memory of its own."""
        asked = {name: value.clone() for name, value in self.asked.items()}
        noise = None if self.noise is None else self.noise.clone()
        return replace(self, values=self.values.clone(), asked=asked, noise=noise)


@dataclass
class _Call:
    """An intercepted operation: its arguments by the schema's names, defaults too."""

    name: str
    named: dict[str, Any]

    @classmethod
    def of(cls, func: Any, args: Any, kwargs: dict[str, Any]) -> _Call:
        """What `func` was called with."""
        named = {
            argument.name: argument.default_value
            for argument in func._schema.arguments
            if argument.has_default_value()
        }
        named |= dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        return cls(func._schema.name.removeprefix("aten::").removesuffix("_"), named)

    def number(self, name: str) -> float | None:
        """An argument, if it is a number."""
        value = self.named.get(name)
        return value if isinstance(value, int | float) else None

    def has_tensors(self, *names: str) -> bool:
        """Whether any of these arguments is a tensor."""
        return any(isinstance(self.named.get(name), Tensor) for name in names)

    @property
    def draws(self) -> bool:
        """Whether the operation draws at all."""
        off = {"native_dropout": "train", "rrelu_with_noise": "training"}
        return self.named.get(off.get(self.name, "")) is not False


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
        if func.namespace == "aten" and name.removesuffix("_") in DRAWING:
            call = _Call.of(func, args, kwargs)
            if call.draws:
                return self._draw(call, func, args, kwargs)
        result = func(*args, **kwargs)
        if name in UNORDERED and not self.tied:
            self.tied = has_ties(func, args, kwargs)
        return result

    def _draw(self, call: _Call, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operation that draws, on the values that are kept of the draw."""
        own = call.named.get("self", call.named.get("input"))
        assert isinstance(own, Tensor | None)
        before = torch.empty(0) if own is None else own
        if call.name == "rrelu_with_noise":
            before = before.clone()  # it may be written into
        asked = _asked(call)
        result = func(*args, **kwargs)
        if call.name == "native_dropout":
            mask = self._record("bernoulli", _with_numbers({}, asked), result[1], asked)
            if self._replay is not None:
                rate = call.named["p"]
                result[0].copy_(before * mask * (1.0 / (1.0 - rate) if rate < 1 else 0.0))
        elif call.name == "rrelu_with_noise":
            slope = self._record("uniform", _params(call), call.named["noise"], asked)
            result.copy_(torch.where(before <= 0, before * slope, before))
        elif call.name == "normal" and call.has_tensors("mean", "std"):
            noise = (result - call.named["mean"]) / call.named["std"]
            noise = self._record("normal", {}, noise.nan_to_num(0.0), asked)
            result.copy_(call.named["mean"] + noise * call.named["std"])
        else:
            self._record(OPS[call.name], _with_numbers(_params(call), asked), result, asked)
        return result

    def _record(self, op: str, params: dict[str, float], drawn: Tensor, asked: Leaves) -> Tensor:
        """Keep a draw, after `drawn` was made what is kept of it, or what is replayed; `drawn`."""
        position = len(self.draws)
        known = None
        if self._replay is not None:
            known = self._replay[position] if position < len(self._replay) else None
            if known is None or known.op != op or known.values.shape != drawn.shape:
                self.diverged, known = True, None
            else:
                drawn.copy_(known.values)
        elif drawn.dtype == torch.double:
            # by way of numpy: in a float64 run torch's own float32 means float64
            drawn.copy_(torch.from_numpy(drawn.numpy().astype("float32")))
        values = drawn.detach().clone(memory_format=torch.contiguous_format)
        values = values != 0 if op == "bernoulli" else values
        if known is not None:
            asked = {n: _like(value, known.asked.get(n)) for n, value in asked.items()}
        draw = Draw(op, params, values, asked)
        if op == "multinomial":
            noise = known.noise if known is not None else None
            draw.noise = choosing(asked["weights"], values) if noise is None else noise.clone()
        self.draws.append(draw)
        return drawn


# what decides the distribution of a draw, by aten name: its name here and the argument's
ASKED = {
    "native_dropout": {"p": "p"},
    "bernoulli": {"p": "p"},
    "geometric": {"p": "p"},
    "randint": {"low": "low", "high": "high"},
    "randint_like": {"low": "low", "high": "high"},
    "random": {"low": "from", "high": "to"},
    "multinomial": {"weights": "self"},
    "poisson": {"rate": "self"},
    "binomial": {"count": "count", "prob": "prob"},
    "_standard_gamma": {"alpha": "self"},
    "_sample_dirichlet": {"alpha": "self"},
}


def _asked(call: _Call) -> Leaves:
    """What decides the distribution, in float64; of a tensor of equal elements one of them."""
    found: Leaves = {}
    for name, argument in ASKED.get(call.name, {}).items():
        value = call.named.get(argument)
        if value is None and name == "low":
            value = 0
        elif value is None and name == "p":
            value = call.named["self"]  # torch.bernoulli(probabilities)
        if value is None:
            continue
        wide = torch.float64
        tensor = (
            value.detach().to(wide)
            if isinstance(value, Tensor)
            else torch.tensor(value, dtype=wide)
        )
        if name == "p" and call.name == "native_dropout":
            tensor = 1.0 - tensor
        if name == "weights":
            tensor = tensor / tensor.sum(-1, keepdim=True)
        elif tensor.numel() > 0 and call.name != "_sample_dirichlet" and _constant(tensor):
            tensor = tensor.reshape(-1)[0]
        found[name] = tensor.clone(memory_format=torch.contiguous_format)
    return found


def _like(value: Tensor, known: Tensor | None) -> Tensor:
    """`value` in the shape of the draw that is replayed: rounding may make elements equal, or part them."""
    if known is None or value.shape == known.shape:
        return value
    return value.reshape(-1)[0].clone() if known.dim() == 0 else value.expand(known.shape).clone()


def _constant(tensor: Tensor) -> bool:
    return bool((tensor == tensor.reshape(-1)[0]).all())


def _with_numbers(params: dict[str, float], asked: Leaves) -> dict[str, float]:
    """`params` with what was asked for by one number."""
    return params | {n: float(v) for n, v in asked.items() if v.dim() == 0 and bool(v.isfinite())}


# between the scores of two things of which one is chosen before the other
GAP = 1e-3


def choosing(weights: Tensor, chosen: Tensor) -> Tensor:
    """Noise that, added to the logarithms of the weights, puts `chosen` first and in its order.

    It does so by steps of `GAP` only, so that other weights, beyond a common factor, choose
    others. float32 rounds scores of usual size to a thousandth of that.
    """
    count = weights.shape[-1]
    others = -GAP * torch.arange(1.0, count + 1, dtype=torch.float64)
    scores = others.expand(weights.shape).clone()
    ranks = GAP * torch.arange(chosen.shape[-1], 0, -1, dtype=torch.float64)
    if chosen.shape[-1] <= count:
        scores.scatter_(-1, chosen, ranks.expand(chosen.shape))
    noise = torch.where(weights > 0, scores - weights.log(), 0.0)
    return torch.from_numpy(noise.numpy().astype("float32").astype("float64"))


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


def _params(call: _Call) -> dict[str, float]:
    """The numbers among the arguments of a drawing operation, by the schema's names."""
    rename = {"from": "low", "to": "high", "lower": "low", "upper": "high"}
    skip = {"pin_memory", "dtype", "layout", "self", "training"}
    numbers = {n: call.number(n) for n in call.named if n not in skip}
    return {
        rename.get(name, name): value
        for name, value in numbers.items()
        if value is not None and math.isfinite(value)
    }


def python_draws() -> Callable[[], bool]:
    """Call the answer later: has anything drawn from `random` or from numpy since?"""

    def now() -> tuple[Any, ...]:
        _, keys, position, *_ = np.random.get_state(legacy=True)
        return random.getstate(), position, np.asarray(keys).tobytes()

    before = now()
    return lambda: now() != before
