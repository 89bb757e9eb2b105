"""Values as expressions that give their like again: arguments that were seen in a run.

An expression is read in the namespace of one of the caller's modules, and by the JAX side in that
of the port: it holds names of the module, the roots ``torch``, ``nn`` and ``F``, and builtins.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.families import Family, observe

LITERAL = 1024  # elements of a tensor that is written out
LONGEST = 16_000  # characters of an expression

ROOTS: Mapping[str, Any] = {"nn": nn, "F": nn.functional, "torch": torch}
Call = tuple[type, tuple[Any, ...], dict[str, Any]]


class Unspeakable(Exception):
    """A value that no expression gives."""


def no_tensor(tensor: Tensor) -> str:
    """For arguments of constructors: a tensor's values can't be said in short."""
    raise Unspeakable("a tensor")


class Speller:
    """Spells values in the namespace of one module.

    `made` gives the constructor call of an object of the caller's, if it was seen.
    """

    def __init__(self, namespace: Mapping[str, Any], made: Callable[[Any], Call | None]) -> None:
        self._namespace = namespace
        self._made = made

    def call(self, call: Call) -> str:
        """A constructor call. Raises `Unspeakable`."""
        cls, args, kwargs = call
        return self._called(self.named(cls), args, kwargs, no_tensor)

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Arguments of a forward as an `inputs_expr`: a list, or a dict where all have names."""
        if args and kwargs:
            raise Unspeakable("arguments by position and by name")
        if kwargs:
            text = self.value(dict(kwargs), self.tensor)
        else:
            text = self.value(list(args), self.tensor)
        if len(text) > LONGEST:
            raise Unspeakable("arguments of that many parts")
        return text

    def value(self, value: Any, tensor: Callable[[Tensor], str] = no_tensor) -> str:
        """Any value; tensors as `tensor` says. Raises `Unspeakable`."""
        if value is None or type(value) in (bool, int, str):
            return repr(value)
        if type(value) is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if isinstance(value, Tensor):
            return tensor(value)
        if isinstance(value, torch.dtype):
            return f"{self._torch()}.{str(value).removeprefix('torch.')}"
        if isinstance(value, type) or (callable(value) and not isinstance(value, nn.Module)):
            return self._callable(value, tensor)
        return self._container(value, tensor)

    def named(self, value: Any) -> str:
        """The name of a class or function. Raises `Unspeakable`."""
        name = getattr(value, "__name__", None)
        if isinstance(name, str):
            if self._namespace.get(name) is value:
                return name
            for root, module in ROOTS.items():
                if self._namespace.get(root) is module and getattr(module, name, None) is value:
                    return f"{root}.{name}"
            if (
                self._namespace.get("torch") is torch
                and getattr(nn.functional, name, None) is value
            ):
                return f"torch.nn.functional.{name}"
        for own, known in self._namespace.items():
            if known is value and not own.startswith("__"):
                return own
        raise Unspeakable(f"{name or type(value).__name__} under a name of this module")

    def tensor(self, tensor: Tensor) -> str:
        """An expression that draws a tensor of the same family, shape and dtype."""
        family = observe(tensor.detach())
        text, dtype = self._drawn(tensor.detach(), family)
        if family.structure in ("triu", "tril") and family.name != "triangle":
            text = f"({text}).{family.structure}()"
        elif family.structure in ("ascending", "descending"):
            text = f"({text}).sort(descending={family.structure == 'descending'}).values"
        elif family.structure == "symmetric":
            text = f"(lambda t: (t + t.mT) / 2)({text})"
        return text if dtype == tensor.dtype else f"({text}).to({self.value(tensor.dtype)})"

    # --- parts ---

    def _torch(self) -> str:
        return "torch" if self._namespace.get("torch") is torch else '__import__("torch")'

    def _called(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        tensor: Callable[[Tensor], str],
    ) -> str:
        shown = [self.value(item, tensor) for item in args]
        shown += [f"{key}={self.value(item, tensor)}" for key, item in kwargs.items()]
        return f"{name}({', '.join(shown)})"

    def _callable(self, value: Any, tensor: Callable[[Tensor], str]) -> str:
        if isinstance(value, functools.partial):
            name = '__import__("functools").partial'
            return self._called(name, (value.func, *value.args), value.keywords, tensor)
        return self.named(value)

    def _container(self, value: Any, tensor: Callable[[Tensor], str]) -> str:
        if type(value) in (tuple, torch.Size):
            items = [self.value(item, tensor) for item in value]
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if type(value) is list:
            return f"[{', '.join(self.value(item, tensor) for item in value)}]"
        if type(value) is dict:
            items = [f"{self.value(k)}: {self.value(v, tensor)}" for k, v in value.items()]
            return f"{{{', '.join(items)}}}"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._called(self.named(type(value)), tuple(value), {}, tensor)
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
            return self._called(self.named(type(value)), (), fields, tensor)
        made = self._made(value)
        if made is None:
            raise Unspeakable(f"a {type(value).__name__}")
        return self.call(made)

    def _drawn(self, tensor: Tensor, family: Family) -> tuple[str, torch.dtype]:
        """An expression for values of a family without its structure, and their dtype."""
        root, shape = self._torch(), tuple(tensor.shape)
        if family.name == "constant":
            return self._constant(tensor), tensor.dtype
        if family.name == "triangle":
            ones = f"{root}.ones({shape}, dtype={root}.bool)"
            return f"{ones}.{family.structure}({int(family.low)})", torch.bool
        if family.name == "bool":
            return f"{root}.rand({shape}) < {family.high:.4g}", torch.bool
        if family.name == "int":
            end = max(int(family.high), int(family.low) + 1)
            return f"{root}.randint({int(family.low)}, {end}, {shape})", torch.int64
        if family.name == "choice":
            values = f"{root}.tensor({self.value(list(family.values))})"
            return f"{values}[{root}.randint({len(family.values)}, {shape})]", torch.float32
        if family.name == "uniform":
            drawn = f"{root}.rand({shape})"
            return _affine(drawn, family.high - family.low, family.low), torch.float32
        if tensor.is_complex():
            drawn = f"{root}.randn({shape}, dtype={self.value(tensor.dtype)})"
            return _affine(drawn, family.high, 0.0), tensor.dtype
        drawn, dtype = f"{root}.randn({shape})", torch.float32
        if family.name == "normal":
            standard = 0.5 <= family.high <= 2 and abs(family.low) <= 0.5
            return drawn if standard else _affine(drawn, family.high, family.low), dtype
        return f"{drawn}.{'softmax' if family.name == 'simplex' else 'log_softmax'}(-1)", dtype

    def _constant(self, tensor: Tensor) -> str:
        """A tensor whose values stay: of one value, a mask of infinities, or written out."""
        root, shape = self._torch(), tuple(tensor.shape)
        dtype = f"dtype={self.value(tensor.dtype)}"
        if not tensor.numel():
            return f"{root}.empty({shape}, {dtype})"
        for value in (tensor.flatten()[0].item(), -math.inf):
            full = torch.full(shape, value, dtype=tensor.dtype) if _holds(tensor, value) else None
            if full is None:
                continue
            text = f"{root}.full({shape}, {self.value(value)}, {dtype})"
            if torch.equal(full, tensor):
                return text
            for diagonal in (0, 1):
                if tensor.ndim > 1 and torch.equal(full.triu(diagonal), tensor):
                    return f"{text}.triu({diagonal})"
        if tensor.numel() > LITERAL:
            raise Unspeakable("a tensor of infinities or NaN")
        return f"{root}.tensor({self.value(tensor.tolist())}, {dtype})"


def _holds(tensor: Tensor, value: Any) -> bool:
    """Whether a tensor's dtype has a value."""
    return tensor.is_floating_point() or not isinstance(value, float)


def _affine(drawn: str, scale: float, shift: float) -> str:
    """Drawn values of another range; four digits are enough for one."""
    text = drawn if scale == 1 else f"{drawn} * {scale:.4g}"
    return f"{text} {'+' if shift > 0 else '-'} {abs(shift):.4g}" if shift else text
