"""A candidate must be a program of jax alone, and the same one each time it is traced.

What runs is what was traced, so Python of the candidate runs at execution time only through
host callbacks, which are refused. Python that answers differently from one trace to the next
gives another program when it is traced again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend import core

from ferry.step import StepError

#: Primitives that call back into Python, or into a library that the candidate brought.
CALLBACKS = frozenset(
    {"pure_callback", "io_callback", "debug_callback", "debug_print", "ffi_call", "custom_call"}
)

#: What differs in the text of equal programs: addresses of Python objects.
ADDRESS = re.compile(r"0x[0-9a-f]+")


def refuse_callbacks(program: core.ClosedJaxpr) -> None:
    """Raise where the program leaves jax."""
    for equation in _equations(program.jaxpr):
        if equation.primitive.name in CALLBACKS:
            message = f"the candidate calls back into Python ({equation.primitive.name})"
            raise StepError("candidate_error", message, why="host_callback")


def same_program(first: core.ClosedJaxpr, second: core.ClosedJaxpr) -> None:
    """Raise if two traces of the same call gave different programs."""
    if _text(first) != _text(second) or not _same_constants(first.consts, second.consts):
        message = "tracing the same call twice gives two programs: the candidate keeps state"
        raise StepError("candidate_error", message, why="traces_differ")


def operations(program: core.ClosedJaxpr) -> int:
    """How many operations the program has, those of inner programs too."""
    return sum(1 for _ in _equations(program.jaxpr))


def _text(value: Any) -> str:
    return ADDRESS.sub("", str(value))


def _same_constants(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(first, second, strict=True)
    )


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Every equation of a program, those of inner programs too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if isinstance(value, core.ClosedJaxpr):
                yield from _equations(value.jaxpr)
            elif isinstance(value, core.Jaxpr):
                yield from _equations(value)


def _is_program(value: Any) -> bool:
    return isinstance(value, (core.ClosedJaxpr, core.Jaxpr))
