"""Windows of signals; a periodic one is a symmetric one of the next size without its end."""

import math
from typing import Any

import jax
import jax.numpy as jnp


def cosine_window(length: int, periodic: bool, terms: tuple[float, ...], dtype: Any) -> jax.Array:
    """The sum of `terms[k] * (-1)**k * cos(2 pi k n / N)`; N is one less where not periodic."""
    if length == 1:
        return jnp.ones(1, dtype)
    angle = 2 * math.pi * jnp.arange(length) / (length if periodic else length - 1)
    parts = [(-1) ** k * term * jnp.cos(k * angle) for k, term in enumerate(terms)]
    return sum(parts, jnp.zeros(length)).astype(jnp.result_type(float) if dtype is None else dtype)


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None) -> jax.Array:
    """A raised cosine that reaches zero."""
    return cosine_window(window_length, periodic, (0.5, 0.5), dtype)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
) -> jax.Array:
    """A raised cosine with weights `alpha` and `beta`."""
    return cosine_window(window_length, periodic, (alpha, beta), dtype)


def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None) -> jax.Array:
    """Three terms of cosines: 0.42, 0.5, 0.08."""
    return cosine_window(window_length, periodic, (0.42, 0.5, 0.08), dtype)
