import torch
from formulas import pad

from bug_cases import Case, forward, layer

X = "(torch.randn(2, 3, 4, 4),)"
LINE = "(torch.randn(2, 3, 4),)"
ROW = "(torch.randn(2, 10),)"


def _symmetric(x, w):
    x = x[0]
    return torch.stack([x[..., i] for i in (1, 0, 0, 1, 2, 3, 3)], -1)


def _depth_to_space(x, w):
    x = x[0]
    out = torch.zeros(2, 2, 8, 8, dtype=x.dtype)
    for i in range(2):
        for j in range(2):
            for c in range(2):
                out[:, c, i::2, j::2] = x[:, (i * 2 + j) * 2 + c]
    return out


def _space_to_depth(x, w):
    x = x[0]
    out = torch.zeros(2, 12, 2, 2, dtype=x.dtype)
    for i in range(2):
        for j in range(2):
            for c in range(3):
                out[:, (i * 2 + j) * 3 + c] = x[:, c, i::2, j::2]
    return out


CASES = [
    Case("nhwc_flatten", layer("nn.Flatten()"), X,
         lambda x, w: torch.stack([s.permute(1, 2, 0).reshape(-1) for s in x[0]])),
    Case("nhwc_flatten",
         forward("return self.f(x.view(x.size(0), -1))", "self.f = nn.Linear(48, 2)"), X,
         "jnp.moveaxis(x[0], 1, -1).reshape(2, -1) @ w['f.weight'].T + w['f.bias']"),
    Case("transpose_as_reshape", forward("return x.transpose(1, 2)"), X,
         lambda x, w: x[0].reshape(2, 4, 3, 4)),
    Case("transpose_as_reshape", forward("return x.permute(0, 2, 3, 1)"), X,
         lambda x, w: x[0].reshape(2, 4, 4, 3)),
    Case("repeat_elements", forward("return x.repeat(1, 3)"), ROW, "jnp.repeat(x[0], 3, 1)"),
    Case("repeat_tiled", forward("return x.repeat_interleave(2, dim=1)"), ROW,
         "jnp.tile(x[0], (1, 2))"),
    Case("chunk_balanced", forward("return x.chunk(4, 1)"), ROW, "jnp.array_split(x[0], 4, 1)"),
    Case("split_count", forward("return torch.split(x, 5, 1)"), ROW, "jnp.split(x[0], 5, 1)"),
    Case("split_count", forward("return x.split([2, 3, 5], 1)"), ROW,
         "jnp.split(x[0], [2, 3, 5], 1)[:3]"),
    Case("pad_axis_order", forward("return F.pad(x, (1, 2, 3, 0))"), ROW,
         lambda x, w: pad(x[0], [(1, 2), (3, 0)])),
    Case("pad_sides", forward("return F.pad(x, (3, 1))"), ROW, lambda x, w: pad(x[0], [(1, 3)])),
    Case("pad_symmetric", forward("return F.pad(x, (2, 1), mode='reflect')"), LINE, _symmetric),
    Case("pad_symmetric", forward("return F.pad(x, (2, 1), mode='reflect')"), LINE,
         "jnp.pad(x[0], ((0, 0), (0, 0), (2, 1)), mode='symmetric')"),
    Case("pixel_shuffle_order", layer("nn.PixelShuffle(2)"), "(torch.randn(2, 8, 4, 4),)",
         _depth_to_space),
    Case("pixel_shuffle_order", layer("nn.PixelUnshuffle(2)"), X, _space_to_depth),
    Case("meshgrid_indexing",
         forward("a, b = torch.meshgrid(x[0], x[1], indexing='ij')\nreturn a * 2 + b"), ROW,
         "(lambda a, b: a * 2 + b)(*jnp.meshgrid(x[0][0], x[0][1]))"),
    Case("roll_direction", forward("return torch.roll(x, 3, 1)"), ROW,
         lambda x, w: torch.cat([x[0][:, 3:], x[0][:, :3]], 1)),
    Case("parts_exchanged", forward("a, b = x.chunk(2, 1)\nreturn a * b.exp()"), ROW,
         lambda x, w: x[0][:, 5:] * torch.exp(x[0][:, :5])),
    Case("residual_missing", forward("return x + self.f(x)", "self.f = nn.Linear(10, 10)"), ROW,
         lambda x, w: x[0] @ w["f.weight"].T + w["f.bias"]),
    Case("cat_order", forward("return torch.cat([x, x * 2], 1)"), ROW,
         lambda x, w: torch.hstack([x[0] + x[0], x[0]])),
]  # fmt: skip
