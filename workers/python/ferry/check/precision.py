"""The two precisions in which a candidate is run.

float32 stages run as users do, with 64-bit types off. In a float64 stage a float32 that the
candidate fixes by hand means float64: otherwise a correct port of a model that upcasts, a
layer norm in float32 for example, could not be told from a wrong one. A type below float32 is
widened too, but only one that the source computes in: elsewhere it is a fault. Both the name
``jnp.float32`` and every dtype that reaches JAX's own check of user dtypes are widened, so
default arguments, strings and names imported before are covered too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import dtypes

WIDER = {"float32": "float64", "complex64": "complex128"}
NARROW = ("float16", "bfloat16")


@contextmanager
def precision(dtype: str, narrow: Sequence[str] = ()) -> Iterator[None]:
    """Trace and run as the stage of `dtype` (``float32`` or ``float64``) requires.

    `narrow` has the types below float32 that the source computes in.
    """
    wide = dtype == "float64"
    with ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision("highest"))
        stack.enter_context(jax.enable_x64(wide))
        if wide:
            stack.enter_context(_widened({**WIDER, **dict.fromkeys(narrow, "float64")}))
        yield


@contextmanager
def _widened(wider: Mapping[str, str]) -> Iterator[None]:
    """The types that are keys of `wider` mean their values."""
    check = dtypes.check_and_canonicalize_user_dtype
    by_dtype = {jnp.dtype(name): jnp.dtype(wide) for name, wide in wider.items()}

    def widened(dtype: Any, fun_name: str | None = None) -> Any:
        checked = check(dtype, fun_name)
        return by_dtype.get(checked, checked) if isinstance(checked, np.dtype) else checked

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(dtypes, "check_and_canonicalize_user_dtype", widened))
        for name, wide in wider.items():
            stack.enter_context(mock.patch.object(jnp, name, getattr(jnp, wide)))
        yield


def set_option(name: str, value: Any) -> None:
    """Set one of jax's global options."""
    jax.config.update(name, value)  # type: ignore[no-untyped-call]


def in_precision(value: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """`value` with its floating or complex dtype replaced by that of the stage.

    What is narrower than float32 is so in float32 stages too.
    """
    if np.issubdtype(value.dtype, np.complexfloating):
        return value.astype("complex128" if dtype == "float64" else "complex64", copy=False)
    if dtype == "float32" and value.dtype.name in NARROW:
        return value
    if is_floating(value.dtype):
        return value.astype(dtype, copy=False)
    return value


def is_inexact(dtype: Any) -> bool:
    """Whether an array of `dtype` may have a gradient: it is real or complex."""
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def is_floating(dtype: Any) -> bool:
    """Whether `dtype` is a real floating one, bfloat16 included."""
    return bool(jnp.issubdtype(dtype, jnp.floating))
