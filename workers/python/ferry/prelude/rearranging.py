"""einops' layers."""

from typing import Any

import einops
import jax
from flax import nnx

from ferry.prelude.base import Module


class Rearrange(Module):
    """`einops.rearrange` with a fixed pattern."""

    def __init__(self, pattern: str, *, rngs: nnx.Rngs | None = None, **axes_lengths: int) -> None:
        self.pattern = pattern
        self.axes_lengths = tuple(axes_lengths.items())

    def forward(self, input: jax.Array) -> jax.Array:
        """Reorder the axes."""
        output: jax.Array = einops.rearrange(input, self.pattern, **dict(self.axes_lengths))
        return output


class Reduce(Module):
    """`einops.reduce` with a fixed pattern and reduction."""

    def __init__(
        self, pattern: str, reduction: Any, *, rngs: nnx.Rngs | None = None, **axes_lengths: int
    ) -> None:
        self.pattern = pattern
        self.reduction = reduction
        self.axes_lengths = tuple(axes_lengths.items())

    def forward(self, input: jax.Array) -> jax.Array:
        """Reorder and reduce."""
        lengths = dict(self.axes_lengths)
        output: jax.Array = einops.reduce(input, self.pattern, self.reduction, **lengths)
        return output
