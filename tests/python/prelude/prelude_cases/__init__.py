"""The cases: one text for both frameworks, evaluated in each one's namespace.

`layer` builds a module and `call` uses it as `m`, or `call` is a function call alone. Names
of inputs are free names in `call`. `jax` replaces `call` where the prelude's function is
called otherwise than torch's. This package imports neither framework.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Spec = Any  # a shape: normal numbers; or a dict or an array, see `make_input`


@dataclass(frozen=True)
class Case:
    """One comparison; `grad` False where the output has no gradient."""

    call: str
    inputs: dict[str, Spec] = field(default_factory=dict)
    layer: str | None = None
    jax: str | None = None
    train: bool = False
    grad: bool = True
    rtol: float = 1e-11

    @property
    def name(self) -> str:
        """What pytest shows."""
        shapes = " ".join(f"{n}{tuple(np.shape(self.make(n)))}" for n in self.inputs)
        parts = [self.layer, self.call, shapes, "train" if self.train else ""]
        return " ".join(part for part in parts if part)

    def make(self, name: str) -> np.ndarray:
        """The input `name`, the same in both frameworks."""
        seed = [ord(c) for c in f"{self.layer}{self.call}{name}"]
        return make_input(self.inputs[name], np.random.default_rng(seed))


def make_input(spec: Spec, rng: np.random.Generator) -> np.ndarray:
    """Numbers after `spec`.

    A shape gives normal numbers, {"int": (low, high, shape)} integers, {"bool": shape} and
    {"positive": shape} what they say, {"unit": shape} numbers in (0, 1), {"signs": shape}
    1 or -1; an array stays.
    """
    if isinstance(spec, tuple):
        return rng.normal(size=spec)
    if not isinstance(spec, dict):
        return np.asarray(spec)
    ((kind, what),) = spec.items()
    if kind == "int":
        return rng.integers(what[0], what[1], what[2])
    if kind == "bool":
        return rng.random(what) < 0.6
    if kind == "positive":
        return rng.random(what) + 0.5
    if kind == "unit":
        return rng.random(what) * 0.9 + 0.05
    if kind == "signs":
        return np.where(rng.random(what) < 0.5, -1, 1)
    raise ValueError(kind)


def cotangent(shape: tuple[int, ...], index: int) -> np.ndarray:
    """The weights by which output number `index` enters the scalar that is differentiated."""
    count = int(np.prod(shape))
    return np.cos(np.arange(count) * 0.7 + 1.0 + index).reshape(shape)


def flatten(output: Any) -> list[Any]:
    """The arrays of an output in order; None is left out."""
    if output is None:
        return []
    if isinstance(output, (tuple, list)):
        return [leaf for item in output for leaf in flatten(item)]
    return [output]
