"""Convolutions and their transposes: channels on axis 1, kernels (out, in/groups, ...)."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, array_of, channel_shape, fan_in_bound, ntuple, uniform_param
from ferry.prelude.padding import pad


def conv_pads(
    kernel: Sequence[int], dilation: Sequence[int], padding: str | int | Sequence[int]
) -> list[tuple[int, int]]:
    """Low and high padding of each axis; "same" puts the odd element at the high end."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if isinstance(padding, str):
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    return [(p, p) for p in ntuple(padding, len(kernel))]


def convolve(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None,
    stride: int | Sequence[int],
    padding: str | int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> jax.Array:
    """Cross-correlation over all axes after the first two of `weight`; no batch axis is allowed."""
    rank = weight.ndim - 2
    if input.ndim == rank + 1:
        batch = convolve(input[None], weight, bias, stride, padding, dilation, groups)
        return batch[0]
    steps = ntuple(dilation, rank)
    output = lax.conv_general_dilated(
        jnp.asarray(input),
        jnp.asarray(weight),
        window_strides=ntuple(stride, rank),
        padding=conv_pads(weight.shape[2:], steps, padding),
        rhs_dilation=steps,
        feature_group_count=groups,
    )
    return output if bias is None else output + channel_shape(bias, output.ndim)


def conv1d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution over (N, C, L)."""
    return convolve(input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution over (N, C, H, W)."""
    return convolve(input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution over (N, C, D, H, W)."""
    return convolve(input, weight, bias, stride, padding, dilation, groups)


def convolve_transpose(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    groups: int,
    dilation: int | Sequence[int],
) -> jax.Array:
    """The gradient of `convolve` with respect to its input; weight is (in, out/groups, ...).

    Written as a convolution of the input spread by `stride` with the flipped kernel;
    `padding` crops the full result, `output_padding` extends its high end.
    """
    rank = weight.ndim - 2
    if input.ndim == rank + 1:
        batch = convolve_transpose(
            input[None], weight, bias, stride, padding, output_padding, groups, dilation
        )
        return batch[0]
    steps = ntuple(dilation, rank)
    sizes = zip(
        weight.shape[2:], steps, ntuple(padding, rank), ntuple(output_padding, rank), strict=True
    )
    full = [(d * (k - 1) - p, extra) for k, d, p, extra in sizes]
    output = lax.conv_general_dilated(
        jnp.asarray(input),
        transposed_kernel(weight, groups),
        window_strides=(1,) * rank,
        padding=[(low, low + extra) for low, extra in full],
        lhs_dilation=ntuple(stride, rank),
        rhs_dilation=steps,
        feature_group_count=groups,
    )
    return output if bias is None else output + channel_shape(bias, output.ndim)


def transposed_kernel(weight: jax.Array, groups: int) -> jax.Array:
    """Turn a transposed kernel (in, out/groups, ...) into a flipped one (out, in/groups, ...)."""
    per_group, space = weight.shape[1], weight.shape[2:]
    split = jnp.flip(weight, range(2, weight.ndim)).reshape(groups, -1, per_group, *space)
    return jnp.swapaxes(split, 1, 2).reshape(groups * per_group, -1, *space)


def conv_transpose1d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Transposed convolution over (N, C, L)."""
    return convolve_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Transposed convolution over (N, C, H, W)."""
    return convolve_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Transposed convolution over (N, C, D, H, W)."""
    return convolve_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


class ConvNd(Module):
    """What Conv1d, Conv2d and Conv3d share; `rank` is the number of spatial axes.

    A padding mode other than "zeros" pads the input first and then convolves without padding.
    """

    rank: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = ntuple(stride, self.rank)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, self.rank)
        self.dilation = ntuple(dilation, self.rank)
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        bound = fan_in_bound(math.prod(shape[1:]))
        self.weight = uniform_param(shape, bound, rngs)
        self.bias = uniform_param((out_channels,), bound, rngs) if bias else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Convolve (N, C, ...) or (C, ...)."""
        return self._conv_forward(input, self.weight[...], array_of(self.bias))

    def _conv_forward(
        self, input: jax.Array, weight: jax.Array, bias: jax.Array | None
    ) -> jax.Array:
        """As `forward`, with a weight and a bias that a subclass computes."""
        padding = self.padding
        if self.padding_mode != "zeros":
            widths = conv_pads(self.kernel_size, self.dilation, self.padding)
            flat = [width for pair in reversed(widths) for width in pair]
            input = pad(input, flat, self.padding_mode)
            padding = "valid"
        return convolve(
            input,
            weight,
            bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
        )


class Conv1d(ConvNd):
    """Convolution over (N, C, L)."""

    rank = 1


class Conv2d(ConvNd):
    """Convolution over (N, C, H, W)."""

    rank = 2


class Conv3d(ConvNd):
    """Convolution over (N, C, D, H, W)."""

    rank = 3


class ConvTransposeNd(Module):
    """What the transposed convolutions share; weight (in, out/groups, ...)."""

    rank: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError("transposed convolutions pad with zeros only")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, self.rank)
        self.stride = ntuple(stride, self.rank)
        self.padding = ntuple(padding, self.rank)
        self.output_padding = ntuple(output_padding, self.rank)
        self.dilation = ntuple(dilation, self.rank)
        self.groups = groups
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        bound = fan_in_bound(math.prod(shape[1:]))
        self.weight = uniform_param(shape, bound, rngs)
        self.bias = uniform_param((out_channels,), bound, rngs) if bias else None

    def forward(self, input: jax.Array, output_size: Sequence[int] | None = None) -> jax.Array:
        """Convolve (N, C, ...) or (C, ...); `output_size` picks the output padding."""
        return convolve_transpose(
            input,
            self.weight[...],
            array_of(self.bias),
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )

    def _output_padding(
        self, input: jax.Array, output_size: Sequence[int] | None
    ) -> tuple[int, ...]:
        if output_size is None:
            return self.output_padding
        axes = zip(
            input.shape[-self.rank :],
            self.stride,
            self.padding,
            self.dilation,
            self.kernel_size,
            strict=True,
        )
        smallest = [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, d, k in axes]
        return tuple(
            wanted - least
            for wanted, least in zip(output_size[-self.rank :], smallest, strict=True)
        )


class ConvTranspose1d(ConvTransposeNd):
    """Transposed convolution over (N, C, L)."""

    rank = 1


class ConvTranspose2d(ConvTransposeNd):
    """Transposed convolution over (N, C, H, W)."""

    rank = 2


class ConvTranspose3d(ConvTransposeNd):
    """Transposed convolution over (N, C, D, H, W)."""

    rank = 3
