"""The two precisions in which a candidate is run.

float32 stages run as users do, with 64-bit types off. In a float64 stage a float32 that the
candidate fixes by hand means float64: otherwise a correct port of a model that upcasts, a
layer norm in float32 for example, could not be told from a wrong one. Both the name
``jnp.float32`` and every dtype that reaches JAX's own check of user dtypes are widened, so
default arguments, strings and names imported before are covered too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import dtypes

WIDER = {np.dtype("float32"): np.dtype("float64"), np.dtype("complex64"): np.dtype("complex128")}


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Trace and run as the stage of `dtype` (``float32`` or ``float64``) requires."""
    wide = dtype == "float64"
    with ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision("highest"))
        stack.enter_context(jax.enable_x64(wide))
        if wide:
            stack.enter_context(_float32_means_float64())
        yield


@contextmanager
def _float32_means_float64() -> Iterator[None]:
    check = dtypes.check_and_canonicalize_user_dtype

    def widened(dtype: Any, fun_name: str | None = None) -> Any:
        checked = check(dtype, fun_name)
        return WIDER.get(checked, checked) if isinstance(checked, np.dtype) else checked

    with (
        mock.patch.object(dtypes, "check_and_canonicalize_user_dtype", widened),
        mock.patch.object(jnp, "float32", jnp.float64),
        mock.patch.object(jnp, "complex64", jnp.complex128),
    ):
        yield


def set_option(name: str, value: Any) -> None:
    """Set one of jax's global options."""
    jax.config.update(name, value)  # type: ignore[no-untyped-call]


def in_precision(value: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """`value` with its floating or complex dtype replaced by that of the stage."""
    if np.issubdtype(value.dtype, np.complexfloating):
        return value.astype("complex128" if dtype == "float64" else "complex64", copy=False)
    if is_floating(value.dtype):
        return value.astype(dtype, copy=False)
    return value


def is_floating(dtype: Any) -> bool:
    """Whether `dtype` is a real floating one, bfloat16 included."""
    return bool(jnp.issubdtype(dtype, jnp.floating))
