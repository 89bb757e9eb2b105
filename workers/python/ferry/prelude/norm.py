"""Normalisation layers: two-pass variance, torch's momentum and its unbiased running variance."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, array_of, channel_shape, ntuple

Statistic = nnx.Variable[jax.Array] | jax.Array | None


def standardize(input: jax.Array, axes: Sequence[int], eps: float) -> jax.Array:
    """Zero mean and unit (biased) variance over `axes`."""
    wide = at_least_float32(input)
    centred = wide - jnp.mean(wide, axes, keepdims=True)
    variance = jnp.mean(centred * centred, axes, keepdims=True)
    return (centred * lax.rsqrt(variance + eps)).astype(input.dtype)


def at_least_float32(input: jax.Array) -> jax.Array:
    """`input` in the precision of statistics: float32 for what is narrower."""
    return input.astype(jnp.promote_types(input.dtype, jnp.float32))


def scale_channels(input: jax.Array, weight: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    """`input * weight + bias` along axis 1; either may be None."""
    if weight is not None:
        input = input * channel_shape(weight, input.ndim)
    return input if bias is None else input + channel_shape(bias, input.ndim)


def move_statistic(running: Statistic, new: jax.Array, momentum: float | jax.Array) -> None:
    """`running = (1 - momentum) * running + momentum * new`, in place where it is a variable."""
    if isinstance(running, nnx.Variable):
        moved = (1 - momentum) * running[...] + momentum * lax.stop_gradient(new)
        running[...] = moved.astype(running[...].dtype)


def batch_norm(
    input: jax.Array,
    running_mean: Statistic,
    running_var: Statistic,
    weight: jax.Array | None = None,
    bias: jax.Array | None = None,
    training: bool = False,
    momentum: float | jax.Array = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalise each channel (axis 1) by batch statistics in training, else by running ones.

    Training moves the running statistics, if they are variables: the mean by the batch mean,
    the variance by the *unbiased* batch variance; `momentum` weighs the new value. Channels go
    last meanwhile: XLA reduces and broadcasts whole rows of them.
    """
    rows = jnp.moveaxis(at_least_float32(input), 1, -1)
    axes = tuple(range(input.ndim - 1))
    if training:
        count = input.size // input.shape[1]
        if count == 1:
            raise ValueError("expected more than 1 value per channel when training")
        mean = jnp.mean(rows, axes)
        centred = rows - mean
        var = jnp.mean(centred * centred, axes)
        move_statistic(running_mean, mean, momentum)
        move_statistic(running_var, var * (count / (count - 1)), momentum)
    else:
        mean, var = array_of(running_mean), array_of(running_var)
        centred = rows - mean
    factor = lax.rsqrt(var + eps)
    output = centred * (factor if weight is None else factor * weight)
    output = output if bias is None else output + bias
    return jnp.moveaxis(output, -1, 1).astype(input.dtype)


def instance_norm(
    input: jax.Array,
    running_mean: Statistic = None,
    running_var: Statistic = None,
    weight: jax.Array | None = None,
    bias: jax.Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalise each channel of each sample; running statistics are averaged over the batch."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    axes = tuple(range(2, input.ndim))
    count = math.prod(input.shape[2:])
    if count == 1:
        raise ValueError("expected more than 1 spatial element when training")
    unbiased = jnp.var(input, axes, ddof=1)
    move_statistic(running_mean, jnp.mean(input, (0, *axes)), momentum)
    move_statistic(running_var, jnp.mean(unbiased, 0), momentum)
    return scale_channels(standardize(input, axes, eps), weight, bias)


def layer_norm(
    input: jax.Array,
    normalized_shape: Sequence[int],
    weight: jax.Array | None = None,
    bias: jax.Array | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalise over the last `len(normalized_shape)` axes."""
    output = standardize(input, range(-len(normalized_shape), 0), eps)
    if weight is not None:
        output = output * weight
    return output if bias is None else output + bias


def group_norm(
    input: jax.Array,
    num_groups: int,
    weight: jax.Array | None = None,
    bias: jax.Array | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalise each sample over groups of consecutive channels."""
    grouped = input.reshape(input.shape[0], num_groups, -1)
    return scale_channels(standardize(grouped, (2,), eps).reshape(input.shape), weight, bias)


def rms_norm(
    input: jax.Array,
    normalized_shape: Sequence[int],
    weight: jax.Array | None = None,
    eps: float | None = None,
) -> jax.Array:
    """Divide by the root mean square of the last axes.

    eps defaults to the epsilon of the dtype, of float32 for what is narrower.
    """
    axes = range(-len(normalized_shape), 0)
    wide = at_least_float32(input)
    floor = jnp.spacing(jnp.ones((), wide.dtype)) if eps is None else eps
    output = wide * lax.rsqrt(jnp.mean(wide * wide, axes, keepdims=True) + floor)
    output = output.astype(input.dtype)
    return output if weight is None else output * weight


def local_response_norm(
    input: jax.Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Divide by `(k + alpha * mean of squares over size neighbouring channels) ** beta`.

    The mean divides by `size` also at the edges; an even size reaches further down.
    """
    window = (1, size, *(1,) * (input.ndim - 2))
    reach = [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (input.ndim - 2)
    strides = (1,) * input.ndim
    zero = np.zeros((), input.dtype)
    total: jax.Array = lax.reduce_window(input * input, zero, lax.add, window, strides, reach)
    return input / (total / size * alpha + k) ** beta


class BatchNormNd(Module):
    """What BatchNorm1d, 2d and 3d share.

    Running variance is the unbiased one; `momentum` weighs the new value, and None means the
    cumulative average. Without running statistics the batch's own are used in eval mode too.
    """

    use_running_average: bool = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        tracked = track_running_stats
        self.weight = nnx.Param(jnp.ones((num_features,))) if affine else None
        self.bias = nnx.Param(jnp.zeros((num_features,))) if affine else None
        self.running_mean = nnx.BatchStat(jnp.zeros((num_features,))) if tracked else None
        self.running_var = nnx.BatchStat(jnp.ones((num_features,))) if tracked else None
        self.num_batches_tracked = nnx.BatchStat(jnp.zeros((), int)) if tracked else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise (N, C) or (N, C, ...)."""
        training = not self.use_running_average
        momentum = self._count_batch() if training else 0.0
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            array_of(self.weight),
            array_of(self.bias),
            training or self.running_mean is None,
            momentum,
            self.eps,
        )

    def _count_batch(self) -> float | jax.Array:
        """Count a training batch; the weight that its statistics get."""
        if self.num_batches_tracked is None:
            return 0.0
        count = self.num_batches_tracked[...] + 1
        self.num_batches_tracked[...] = count
        return 1.0 / count if self.momentum is None else self.momentum


class BatchNorm1d(BatchNormNd):
    """Batch norm over (N, C) or (N, C, L)."""


class BatchNorm2d(BatchNormNd):
    """Batch norm over (N, C, H, W)."""


class BatchNorm3d(BatchNormNd):
    """Batch norm over (N, C, D, H, W)."""


class SyncBatchNorm(BatchNormNd):
    """Batch norm over (N, C, ...) on one device."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)


class InstanceNormNd(Module):
    """What InstanceNorm1d, 2d and 3d share; `rank` is the number of spatial axes."""

    rank: int
    use_running_average: bool = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        tracked = track_running_stats
        self.weight = nnx.Param(jnp.ones((num_features,))) if affine else None
        self.bias = nnx.Param(jnp.zeros((num_features,))) if affine else None
        self.running_mean = nnx.BatchStat(jnp.zeros((num_features,))) if tracked else None
        self.running_var = nnx.BatchStat(jnp.ones((num_features,))) if tracked else None
        self.num_batches_tracked = nnx.BatchStat(jnp.zeros((), int)) if tracked else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise (N, C, ...) or (C, ...)."""
        batch = input if input.ndim == self.rank + 2 else input[None]
        output = instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            array_of(self.weight),
            array_of(self.bias),
            not self.use_running_average or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return output if batch is input else output[0]


class InstanceNorm1d(InstanceNormNd):
    """Instance norm over (N, C, L)."""

    rank = 1


class InstanceNorm2d(InstanceNormNd):
    """Instance norm over (N, C, H, W)."""

    rank = 2


class InstanceNorm3d(InstanceNormNd):
    """Instance norm over (N, C, D, H, W)."""

    rank = 3


class LayerNorm(Module):
    """Layer norm over the last axes, with eps 1e-5."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.normalized_shape = ntuple(normalized_shape, 1)
        self.eps = eps
        shape = self.normalized_shape
        self.weight = nnx.Param(jnp.ones(shape)) if elementwise_affine else None
        self.bias = nnx.Param(jnp.zeros(shape)) if elementwise_affine and bias else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise the last axes."""
        weight, bias = array_of(self.weight), array_of(self.bias)
        return layer_norm(input, self.normalized_shape, weight, bias, self.eps)


class GroupNorm(Module):
    """Group norm with one scale and shift for each channel."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.weight = nnx.Param(jnp.ones((num_channels,))) if affine else None
        self.bias = nnx.Param(jnp.zeros((num_channels,))) if affine else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise (N, C, ...)."""
        weight, bias = array_of(self.weight), array_of(self.bias)
        return group_norm(input, self.num_groups, weight, bias, self.eps)


class RMSNorm(Module):
    """RMS norm over the last axes; eps None is the machine epsilon of the input's dtype."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.normalized_shape = ntuple(normalized_shape, 1)
        self.eps = eps
        self.weight = nnx.Param(jnp.ones(self.normalized_shape)) if elementwise_affine else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Divide by the root mean square."""
        return rms_norm(input, self.normalized_shape, array_of(self.weight), self.eps)


class LocalResponseNorm(Module):
    """Divides by the energy of neighbouring channels."""

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: jax.Array) -> jax.Array:
        """Normalise (N, C, ...)."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
