"""Sampling at free positions, bags of embeddings, and layers with nothing to draw in eval mode."""

from prelude_cases import Case

IMAGE = {"x": (2, 3, 4, 5), "g": (2, 3, 6, 2)}
VOLUME = {"x": (2, 2, 3, 4, 5), "g": (2, 2, 3, 2, 3)}
FLAT = {"i": [1, 0, 4, 4, 2, 0], "o": [0, 2, 2, 5]}

CASES = [
    *[
        Case(f"F.grid_sample(x, g, {mode!r}, {padding!r}, {aligned})", IMAGE)
        for mode in ("bilinear", "nearest", "bicubic")
        for padding in ("zeros", "border", "reflection")
        for aligned in (False, True)
    ],
    *[
        Case(f"F.grid_sample(x, g, {mode!r}, {padding!r}, align_corners=False)", VOLUME)
        for mode, padding in (("bilinear", "zeros"), ("bilinear", "border"), ("nearest", "zeros"))
    ],
    *[
        Case(f"F.affine_grid(t, (2, 3, 4, 5), align_corners={aligned})", {"t": (2, 2, 3)})
        for aligned in (False, True)
    ],
    Case("F.affine_grid(t, (1, 2, 3, 1, 4), align_corners=False)", {"t": (1, 3, 4)}),
    *[
        Case("m(i)", {"i": {"int": (0, 6, (3, 4))}}, layer=f"nn.EmbeddingBag(6, 3, mode={mode!r})")
        for mode in ("sum", "mean", "max")
    ],
    *[
        Case("m(i, o)", FLAT, layer=f"nn.EmbeddingBag(5, 3, mode={mode!r}, padding_idx=0)")
        for mode in ("sum", "mean")
    ],
    Case("m(i, o)", FLAT, layer="nn.EmbeddingBag(5, 3, mode='sum', include_last_offset=True)"),
    Case(
        "m(i, per_sample_weights=w)",
        {"i": {"int": (0, 6, (2, 4))}, "w": (2, 4)},
        layer="nn.EmbeddingBag(6, 3, mode='sum')",
    ),
    Case("m(x)", {"x": (4, 3, 2)}, layer="nn.SyncBatchNorm(3)"),
    Case("m(x)", {"x": (4, 5)}, layer="nn.RReLU(0.1, 0.3)"),
    Case("F.rrelu(x)", {"x": (4, 5)}),
]
