"""`pad` in torch's order (last axis first) and the padding layers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.base import Module, ntuple


def pad(
    input: jax.Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> jax.Array:
    """Pad by (left, right) of the last axis, then of the one before, and so on.

    Negative widths crop. The modes are constant, reflect, replicate and circular.
    """
    untouched = input.ndim - len(pad) // 2
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * untouched + pairs[::-1]
    sizes = zip(widths, input.shape, strict=True)
    kept = tuple(slice(max(-low, 0), size + min(high, 0)) for (low, high), size in sizes)
    grown = [(max(low, 0), max(high, 0)) for low, high in widths]
    if mode == "constant":
        return jnp.pad(input[kept], grown, constant_values=0 if value is None else value)
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return jnp.pad(input[kept], grown, mode=names[mode])


class PadNd(Module):
    """What the padding layers share: `rank` axes are padded with `mode`."""

    rank: int
    mode: str = "constant"

    def __init__(self, padding: int | Sequence[int], *, rngs: nnx.Rngs | None = None) -> None:
        self.padding = ntuple(padding, 2 * self.rank)

    def forward(self, input: jax.Array) -> jax.Array:
        """Pad the last `rank` axes."""
        return pad(input, self.padding, self.mode)


class ConstantPadNd(PadNd):
    """Padding with a given value."""

    def __init__(
        self, padding: int | Sequence[int], value: float, *, rngs: nnx.Rngs | None = None
    ) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: jax.Array) -> jax.Array:
        """Pad the last `rank` axes."""
        return pad(input, self.padding, "constant", self.value)


class ConstantPad1d(ConstantPadNd):
    """Pads the last axis with a given value."""

    rank = 1


class ConstantPad2d(ConstantPadNd):
    """Pads the last two axes with a given value."""

    rank = 2


class ConstantPad3d(ConstantPadNd):
    """Pads the last three axes with a given value."""

    rank = 3


class ZeroPad1d(PadNd):
    """Pads the last axis with zeros."""

    rank = 1


class ZeroPad2d(PadNd):
    """Pads the last two axes with zeros."""

    rank = 2


class ZeroPad3d(PadNd):
    """Pads the last three axes with zeros."""

    rank = 3


class ReflectionPad1d(PadNd):
    """Pads the last axis with the mirrored input, edge not repeated."""

    rank = 1
    mode = "reflect"


class ReflectionPad2d(PadNd):
    """Pads the last two axes with the mirrored input, edge not repeated."""

    rank = 2
    mode = "reflect"


class ReflectionPad3d(PadNd):
    """Pads the last three axes with the mirrored input, edge not repeated."""

    rank = 3
    mode = "reflect"


class ReplicationPad1d(PadNd):
    """Pads the last axis with the edge value."""

    rank = 1
    mode = "replicate"


class ReplicationPad2d(PadNd):
    """Pads the last two axes with the edge value."""

    rank = 2
    mode = "replicate"


class ReplicationPad3d(PadNd):
    """Pads the last three axes with the edge value."""

    rank = 3
    mode = "replicate"


class CircularPad1d(PadNd):
    """Pads the last axis with the opposite end."""

    rank = 1
    mode = "circular"


class CircularPad2d(PadNd):
    """Pads the last two axes with the opposite end."""

    rank = 2
    mode = "circular"


class CircularPad3d(PadNd):
    """Pads the last three axes with the opposite end."""

    rank = 3
    mode = "circular"
