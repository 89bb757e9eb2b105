import math

import torch

from bug_cases import Case, forward

X = "(torch.randn(2, 3, 9, 7),)"
GRID = "(torch.randn(2, 3, 5, 5), torch.rand(2, 4, 4, 2) * 2.4 - 1.2)"


def _resize(size, mode, more=""):
    return forward(f"return F.interpolate(x, size={size}, mode='{mode}'{more})")


def _jax(size, method, more=""):
    return f"jax.image.resize(x[0], (2, 3, *{size}), '{method}'{more})"


def _lines(x, out, place):
    """Linear interpolation of the last axis at ``place(i)``."""
    parts = []
    for i in range(out):
        at = min(max(place(i), 0.0), x.shape[-1] - 1.0)
        low = min(int(at), x.shape[-1] - 2)
        parts.append(x[..., low] * (1 - at + low) + x[..., low + 1] * (at - low))
    return torch.stack(parts, -1)


def _corners(x, w):
    rows = _lines(x[0], 10, lambda i: i * 6 / 9).mT
    return _lines(rows, 12, lambda i: i * 8 / 11).mT


def _sizes(x, w):
    rows = _lines(x[0], 9, lambda i: (i + 0.5) * 7 / 9 - 0.5).mT
    return _lines(rows, 11, lambda i: (i + 0.5) * 9 / 11 - 0.5).mT


def _nearest(x, w):
    rows = [math.floor((i + 0.5) * 9 / 5) for i in range(5)]
    columns = [math.floor((i + 0.5) * 7 / 5) for i in range(5)]
    return x[0][:, :, rows][..., columns]


def _sample(x, column, row, border):
    """Bilinear value of image `x` (C, H, W) at a place."""
    total = 0.0
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            share = (1 - abs(row - r)) * (1 - abs(column - c))
            inside = 0 <= r < x.shape[1] and 0 <= c < x.shape[2]
            r_in, c_in = min(max(r, 0), x.shape[1] - 1), min(max(c, 0), x.shape[2] - 1)
            total = total + x[:, r_in, c_in] * (share if inside or border else 0.0)
    return total


def _grid(place, border=False, order=(0, 1)):
    def wrong(x, w):
        image, grid = x
        out = torch.zeros(2, 3, 4, 4, dtype=image.dtype)
        for b in range(2):
            for i in range(4):
                for j in range(4):
                    column, row = (place(float(grid[b, i, j, k])) for k in order)
                    out[b, :, i, j] = _sample(image[b], column, row, border)
        return out

    return wrong


def _by_edges(g):
    return ((g + 1) * 5 - 1) / 2


def _by_centres(g):
    return (g + 1) / 2 * 4


def _inside(g):
    return min(max(_by_edges(g), 0.0), 4.0)


SAMPLE = forward("return F.grid_sample(x, grid, align_corners=False)", args="x, grid")
CASES = [
    Case("resize_antialias", _resize((5, 4), "bilinear"), X, _jax((5, 4), "linear")),
    Case("resize_antialias", _resize((5, 4), "bicubic"), X, _jax((5, 4), "cubic-pytorch")),
    Case("resize_cubic_parameter", _resize((12, 10), "bicubic"), X, _jax((12, 10), "cubic")),
    Case("resize_cubic_parameter", _resize((5, 4), "bicubic"), X,
         _jax((5, 4), "cubic", ", antialias=False")),
    Case("resize_align_corners", _resize((12, 10), "bilinear"), X, _corners),
    Case("resize_align_corners", _resize((12, 10), "bilinear", ", align_corners=True"), X,
         _jax((12, 10), "linear")),
    Case("resize_nearest_rounding", _resize((5, 5), "nearest"), X, _nearest),
    Case("resize_nearest_rounding", _resize((5, 5), "nearest"), X, _jax((5, 5), "nearest")),
    Case("resize_method", _resize((12, 10), "bilinear"), X, _jax((12, 10), "nearest")),
    Case("resize_scale_factor",
         forward("return F.interpolate(x, scale_factor=1.3, mode='bilinear')"), X, _sizes),
    Case("grid_sample_align_corners", SAMPLE, GRID, _grid(_by_centres)),
    Case("grid_sample_padding_mode", SAMPLE, GRID, _grid(_inside, border=True)),
    Case("grid_sample_axes", SAMPLE, GRID, _grid(_by_edges, order=(1, 0))),
]  # fmt: skip
