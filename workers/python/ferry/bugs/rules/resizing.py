"""Resizing and sampling of images, with the kernels of `jax.image.resize`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ferry.bugs.rule import Rule, given
from ferry.bugs.site import SAME, Mutation, Site

LINEAR = ("linear", "bilinear", "trilinear")
Kernel = Callable[[Tensor], Tensor]


def _triangle(distance: Tensor) -> Tensor:
    return (1.0 - distance).clamp(min=0.0)


def _keys(a: float) -> Kernel:
    """The cubic convolution kernel of R. Keys with parameter `a`."""

    def kernel(d: Tensor) -> Tensor:
        near = ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
        far = a * (((d - 5.0) * d + 8.0) * d - 4.0)
        return torch.where(d < 1.0, near, torch.where(d < 2.0, far, torch.zeros_like(d)))

    return kernel


def _matrix(size: int, out: int, kernel: Kernel, antialias: bool, like: Tensor) -> Tensor:
    """Weights (out, size): half-pixel centres, rows normalised over the samples inside."""
    scale = size / out
    width = max(scale, 1.0) if antialias else 1.0
    centres = (torch.arange(out, dtype=like.dtype) + 0.5) * scale - 0.5
    samples = torch.arange(size, dtype=like.dtype)
    weights = kernel((centres[:, None] - samples[None, :]).abs() / width)
    return weights / weights.sum(1, keepdim=True)


def _resized(site: Site, kernel: Kernel, antialias: bool) -> Tensor:
    x: Tensor = site["input"]
    sizes = site.original().shape[2:]
    for axis, out in enumerate(sizes, 2):
        if x.shape[axis] != out:
            matrix = _matrix(x.shape[axis], out, kernel, antialias, x)
            x = torch.tensordot(x, matrix, ([axis], [1])).movedim(-1, axis)
    return x


def _by_kernel(modes: Iterable[str], kernel: Kernel, antialias: bool) -> Mutation:
    """Half-pixel resizing by a kernel; `antialias` matters only where an axis shrinks."""

    def mutation(site: Site) -> Any:
        if site["mode"] not in modes or site["input"].ndim < 3:
            return SAME
        if antialias and (site["align_corners"] or not _shrinks(site)):
            return SAME
        return _resized(site, kernel, antialias)

    return mutation


def _shrinks(site: Site) -> bool:
    sizes = zip(site["input"].shape[2:], site.original().shape[2:], strict=True)
    return any(out < size for size, out in sizes)


def _other_corners(site: Site) -> Any:
    if site["mode"] not in (*LINEAR, "bicubic"):
        return SAME
    return site.original(align_corners=not site["align_corners"])


def _nearest(mode: str, other: str) -> Mutation:
    def mutation(site: Site) -> Any:
        return site.original(mode=other) if site["mode"] == mode else SAME

    return mutation


def _scale_from_sizes(site: Site) -> Any:
    """Coordinates from the sizes although the source gave the factor."""
    if site["scale_factor"] is None or site["recompute_scale_factor"]:
        return SAME
    return site.original(recompute_scale_factor=True)


def _nearest_for_linear(site: Site) -> Any:
    if site["mode"] not in LINEAR:
        return SAME
    return F.interpolate(site["input"], site.original().shape[2:], mode="nearest-exact")


def _grid_corners(site: Site) -> Any:
    return site.original(align_corners=not site["align_corners"])


def _xy_swapped(site: Site) -> Any:
    return site.original(grid=site["grid"].flip(-1))


RULES = (
    Rule(
        "resize_antialias",
        "downscaling with antialiasing",
        "jax.image.resize is used with its default antialias=True (cubic kernels then have a = -0.5).",
        "F.interpolate does not antialias unless asked: antialias=False.",
        "differs only where an axis shrinks",
        ("interpolate",),
        (
            _by_kernel(LINEAR, _triangle, True),
            _by_kernel(("bicubic",), _keys(-0.5), True),
        ),
    ),
    Rule(
        "resize_cubic_parameter",
        "cubic resizing with a = -0.5",
        "jax.image.resize(method='cubic') is used, whose kernel has a = -0.5.",
        "F.interpolate's bicubic has a = -0.75 and repeats the edge: method='cubic-pytorch' with "
        "antialias=False in recent JAX, else a kernel of one's own.",
        "overshoot at edges too small by a third",
        ("interpolate",),
        (_by_kernel(("bicubic",), _keys(-0.5), False),),
    ),
    Rule(
        "resize_align_corners",
        "the other meaning of align_corners",
        "Pixel centres are aligned where the source aligns corners, or the reverse.",
        "jax.image.resize uses half-pixel centres (align_corners=False); with align_corners=True "
        "sample at i*(in-1)/(out-1), by a gather or scale_and_translate.",
        "agreement at the middle, growing difference to the edges",
        ("interpolate",),
        (_other_corners,),
    ),
    Rule(
        "resize_nearest_rounding",
        "nearest neighbours of the pixel centres",
        "jax.image.resize(method='nearest') is used: source index floor((i+0.5)*in/out).",
        "F.interpolate's 'nearest' takes floor(i*in/out): gather it; only 'nearest-exact' equals JAX.",
        "some rows and columns are their neighbours; none where sizes divide evenly upwards",
        ("interpolate",),
        (_nearest("nearest", "nearest-exact"), _nearest("nearest-exact", "nearest")),
    ),
    Rule(
        "resize_method",
        "nearest neighbours for linear interpolation",
        "The default method or 'nearest' is used.",
        "mode='bilinear' is jax.image.resize(…, method='linear', antialias=False).",
        "block structure",
        ("interpolate",),
        (_nearest_for_linear,),
    ),
    Rule(
        "resize_scale_factor",
        "coordinates from the sizes, not from scale_factor",
        "The ratio of the rounded sizes is used as scale.",
        "torch uses the given scale_factor for coordinates unless recompute_scale_factor=True.",
        "differs only where size*scale_factor is not whole",
        ("interpolate",),
        (_scale_from_sizes,),
    ),
    Rule(
        "grid_sample_align_corners",
        "grid_sample with the other align_corners",
        "-1 and 1 are taken as the centres of the corner pixels where the source means their edges, "
        "or the reverse.",
        "align_corners=False: x = ((g+1)*size-1)/2; True: x = (g+1)/2*(size-1).",
        "small shifts that grow to the edges",
        ("grid_sample",),
        (_grid_corners,),
    ),
    Rule(
        "grid_sample_padding_mode",
        "grid_sample repeats the border",
        "Samples outside are taken from the border (as mode='nearest' of map_coordinates does).",
        "padding_mode='zeros' is the default: samples outside count as 0.",
        "only samples outside the image differ",
        ("grid_sample",),
        (given(padding_mode="border"), given(padding_mode="zeros")),
    ),
    Rule(
        "grid_sample_axes",
        "grid_sample with x and y exchanged",
        "The first coordinate is taken as the row.",
        "grid[..., 0] is x (width), grid[..., 1] is y (height).",
        "a transposed image",
        ("grid_sample",),
        (_xy_swapped,),
    ),
)
