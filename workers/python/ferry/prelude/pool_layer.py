"""Pooling layers."""

from collections.abc import Sequence

import jax
from flax import nnx

from ferry.prelude.base import Module, ntuple
from ferry.prelude.pool import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    lp_pool,
    max_pool,
    refuse_indices,
)


class MaxPoolNd(Module):
    """What the max pools share; `rank` is the number of pooled axes."""

    rank: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        refuse_indices(return_indices)
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else ntuple(stride, self.rank)
        self.padding = ntuple(padding, self.rank)
        self.dilation = ntuple(dilation, self.rank)
        self.ceil_mode = ceil_mode

    def forward(self, input: jax.Array) -> jax.Array:
        """Pool the last `rank` axes."""
        return max_pool(
            input,
            self.rank,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )


class MaxPool1d(MaxPoolNd):
    """Max pool over (N, C, L)."""

    rank = 1


class MaxPool2d(MaxPoolNd):
    """Max pool over (N, C, H, W)."""

    rank = 2


class MaxPool3d(MaxPoolNd):
    """Max pool over (N, C, D, H, W)."""

    rank = 3


class AvgPoolNd(Module):
    """What the average pools share; `rank` is the number of pooled axes."""

    rank: int

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else ntuple(stride, self.rank)
        self.padding = ntuple(padding, self.rank)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: jax.Array) -> jax.Array:
        """Pool the last `rank` axes."""
        return avg_pool(
            input,
            self.rank,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool1d(AvgPoolNd):
    """Average pool over (N, C, L)."""

    rank = 1


class AvgPool2d(AvgPoolNd):
    """Average pool over (N, C, H, W)."""

    rank = 2


class AvgPool3d(AvgPoolNd):
    """Average pool over (N, C, D, H, W)."""

    rank = 3


class AdaptiveAvgPoolNd(Module):
    """What the adaptive average pools share; a size of None keeps the input's."""

    rank: int

    def __init__(
        self, output_size: int | Sequence[int | None] | None, *, rngs: nnx.Rngs | None = None
    ) -> None:
        self.output_size = tuple(output_size) if isinstance(output_size, Sequence) else output_size

    def forward(self, input: jax.Array) -> jax.Array:
        """Pool the last `rank` axes into bins."""
        return adaptive_avg_pool(input, self.rank, self.output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPoolNd):
    """Adaptive average pool over (N, C, L)."""

    rank = 1


class AdaptiveAvgPool2d(AdaptiveAvgPoolNd):
    """Adaptive average pool over (N, C, H, W)."""

    rank = 2


class AdaptiveAvgPool3d(AdaptiveAvgPoolNd):
    """Adaptive average pool over (N, C, D, H, W)."""

    rank = 3


class AdaptiveMaxPoolNd(Module):
    """What the adaptive max pools share; a size of None keeps the input's."""

    rank: int

    def __init__(
        self,
        output_size: int | Sequence[int | None] | None,
        return_indices: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        refuse_indices(return_indices)
        self.output_size = tuple(output_size) if isinstance(output_size, Sequence) else output_size

    def forward(self, input: jax.Array) -> jax.Array:
        """Pool the last `rank` axes into bins."""
        return adaptive_max_pool(input, self.rank, self.output_size)


class AdaptiveMaxPool1d(AdaptiveMaxPoolNd):
    """Adaptive max pool over (N, C, L)."""

    rank = 1


class AdaptiveMaxPool2d(AdaptiveMaxPoolNd):
    """Adaptive max pool over (N, C, H, W)."""

    rank = 2


class AdaptiveMaxPool3d(AdaptiveMaxPoolNd):
    """Adaptive max pool over (N, C, D, H, W)."""

    rank = 3


class LPPoolNd(Module):
    """What the power-average pools share."""

    rank: int

    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        ceil_mode: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.norm_type = norm_type
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else ntuple(stride, self.rank)
        self.ceil_mode = ceil_mode

    def forward(self, input: jax.Array) -> jax.Array:
        """Pool the last `rank` axes."""
        return lp_pool(
            input, self.rank, self.norm_type, self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool1d(LPPoolNd):
    """Power-average pool over (N, C, L)."""

    rank = 1


class LPPool2d(LPPoolNd):
    """Power-average pool over (N, C, H, W)."""

    rank = 2


class LPPool3d(LPPoolNd):
    """Power-average pool over (N, C, D, H, W)."""

    rank = 3
