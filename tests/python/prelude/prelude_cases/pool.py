"""Pooling, padding, resizing, windows."""

from prelude_cases import Case

TIES = [[[0.0, 0.0, 1.0, 1.0, 1.0, -1.0, -1.0, 2.0, 2.0]]]
POOLS = [
    ("MaxPool1d(3)", (2, 3, 10)),
    ("MaxPool1d(3, 2, 1, ceil_mode=True)", (3, 10)),
    ("MaxPool1d(3, 1, 1, dilation=2)", (2, 3, 10)),
    ("MaxPool2d(2)", (2, 3, 7, 6)),
    ("MaxPool2d(3, stride=2, padding=1)", (2, 3, 7, 6)),
    ("MaxPool2d((3, 2), stride=(2, 3), padding=(1, 0), ceil_mode=True)", (2, 3, 8, 9)),
    ("MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True)", (2, 3, 9, 8)),
    ("MaxPool2d(2, 2, 1, ceil_mode=True)", (3, 5, 5)),
    ("MaxPool3d(2, padding=1)", (2, 2, 4, 5, 6)),
    ("MaxPool3d((1, 2, 3), (1, 2, 1), dilation=(1, 2, 2))", (2, 2, 4, 5, 6)),
    ("AvgPool1d(3)", (2, 3, 10)),
    ("AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False)", (2, 3, 10)),
    ("AvgPool1d(3, 2, 1, ceil_mode=True)", (3, 10)),
    ("AvgPool2d(2)", (2, 3, 7, 6)),
    ("AvgPool2d(3, 2, 1)", (2, 3, 7, 6)),
    ("AvgPool2d(3, 2, 1, ceil_mode=True)", (2, 3, 8, 6)),
    ("AvgPool2d((3, 2), (2, 3), (1, 0), True, False)", (2, 3, 8, 9)),
    ("AvgPool2d(3, 2, 1, divisor_override=5)", (2, 3, 7, 6)),
    ("AvgPool3d(2, padding=1)", (2, 2, 4, 5, 6)),
    ("AvgPool3d((1, 2, 3), ceil_mode=True, count_include_pad=False)", (2, 4, 5, 7)),
    ("AdaptiveAvgPool1d(3)", (2, 3, 10)),
    ("AdaptiveAvgPool1d(7)", (3, 5)),
    ("AdaptiveAvgPool2d(1)", (2, 3, 7, 6)),
    ("AdaptiveAvgPool2d((None, 4))", (2, 3, 7, 6)),
    ("AdaptiveAvgPool2d((7, 3))", (2, 3, 10, 9)),
    ("AdaptiveAvgPool3d((2, 3, 1))", (2, 2, 4, 5, 6)),
    ("AdaptiveMaxPool1d(4)", (2, 3, 10)),
    ("AdaptiveMaxPool2d((3, None))", (2, 3, 7, 6)),
    ("AdaptiveMaxPool3d(2)", (2, 2, 4, 5, 6)),
    ("LPPool1d(2, 3)", (2, 3, 10)),
    ("LPPool2d(4, (2, 3), 2, ceil_mode=True)", (2, 3, 7, 7)),
]
PADS = [
    ("ZeroPad1d(2)", (2, 3, 4)),
    ("ZeroPad2d((1, 2, 0, 3))", (2, 3, 4, 5)),
    ("ZeroPad2d((-1, 2, 1, -2))", (2, 3, 4, 5)),
    ("ZeroPad3d(1)", (2, 2, 3, 2, 3)),
    ("ConstantPad1d((1, 2), 3.5)", (2, 4)),
    ("ConstantPad2d(1, -1.0)", (2, 3, 4)),
    ("ConstantPad3d(1, 2)", (2, 3, 4, 2)),
    ("ReflectionPad1d((3, 1))", (2, 3, 4)),
    ("ReflectionPad2d((1, 2, 0, 3))", (2, 3, 4, 5)),
    ("ReflectionPad3d(1)", (2, 2, 3, 2, 3)),
    ("ReplicationPad1d(5)", (2, 3)),
    ("ReplicationPad2d((1, 2, 0, 3))", (2, 3, 4, 5)),
    ("ReplicationPad3d(2)", (2, 2, 3, 2, 3)),
    ("CircularPad1d((4, 1))", (2, 3, 4)),
    ("CircularPad2d((1, 2, 0, 3))", (2, 3, 4, 5)),
    ("CircularPad3d(1)", (2, 2, 3, 2, 3)),
    ("Upsample(scale_factor=2)", (2, 3, 4, 5)),
    ("Upsample((7, 3), mode='bilinear')", (2, 3, 4, 5)),
    ("Upsample(scale_factor=(1.5, 2.3), mode='bicubic', align_corners=True)", (2, 3, 4, 5)),
    ("UpsamplingNearest2d(scale_factor=3)", (2, 3, 4, 5)),
    ("UpsamplingBilinear2d((7, 8))", (2, 3, 4, 5)),
    ("PixelShuffle(2)", (2, 8, 3, 4)),
    ("PixelUnshuffle(2)", (2, 6, 8)),
    ("ChannelShuffle(3)", (2, 6, 3, 2)),
    ("Flatten()", (2, 3, 4, 5)),
    ("Flatten(0, 1)", (2, 3, 4, 5)),
    ("Flatten(-2)", (2, 3, 4, 5)),
    ("Unflatten(1, (2, -1))", (2, 6, 4)),
    ("Unflatten(-1, (2, 2))", (2, 6, 4)),
    ("Unfold((2, 3), dilation=(2, 1), padding=1, stride=(1, 2))", (2, 3, 5, 6)),
    ("Unfold(2)", (3, 4, 4)),
    ("Fold((5, 6), (2, 3), dilation=(2, 1), padding=1, stride=(1, 2))", (2, 18, 15)),
    ("Fold(4, 2)", (12, 9)),
]
CALLS = [
    ("F.pad(x, (1, 2))", (2, 3)),
    ("F.pad(x, (1, -1, -2, 3), value=2.5)", (2, 4, 5)),
    ("F.pad(x, (1, 2), mode='circular')", (2, 3, 4)),
    ("F.pad(x, (2, 1, 0, 0, 1, 1))", (2, 3, 4)),
    ("F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True)", (2, 3, 6, 7)),
    ("F.max_pool1d(x, 2, dilation=3)", (2, 3, 10)),
    ("F.max_pool3d(x, 2)", (2, 4, 4, 4)),
    ("F.avg_pool1d(x, 4, 3, 2, True, False)", (2, 3, 10)),
    ("F.avg_pool2d(x, (2, 3), count_include_pad=False, padding=1)", (2, 3, 6, 7)),
    ("F.avg_pool3d(x, 2, divisor_override=3)", (2, 4, 4, 4)),
    ("F.adaptive_avg_pool2d(x, (3, 2))", (2, 3, 5, 5)),
    ("F.adaptive_max_pool2d(x, 3)", (2, 3, 5, 5)),
    ("F.lp_pool2d(x, 2, 2)", (2, 3, 4, 4)),
    ("F.pixel_shuffle(x, 3)", (9, 2, 2)),
    ("F.unfold(x, 3, padding=1)", (2, 3, 4, 5)),
    ("F.fold(x, (4, 5), 3, padding=1)", (2, 27, 20)),
]
NEAR = (5, 7, 13, 22, 31)
SIZES_NEAR = (3, 14, 25, 39, 49, 55, 61, 66)
MODES = {
    "nearest": (None,),
    "nearest-exact": (None,),
    "linear": (False, True),
    "bilinear": (False, True),
    "trilinear": (False, True),
    "bicubic": (False, True),
    "area": (None,),
}
SHAPES = {"linear": (2, 2, 7), "trilinear": (1, 2, 3, 4, 5), "area": (2, 2, 7, 5)}
SIZES = {
    3: ("size=4", "scale_factor=1.7", "size=1"),
    4: ("size=(4, 13)", "scale_factor=(1.7, 0.6)", "scale_factor=2.6, recompute_scale_factor=True"),
    5: ("size=(4, 2, 9)", "scale_factor=(1.7, 0.6, 2)"),
}


def resizes() -> list[Case]:
    """Every mode with every way to give the size."""
    cases = []
    for mode, corners in MODES.items():
        shape = SHAPES.get(mode, (2, 2, 5, 7))
        for corner in corners:
            for size in SIZES[len(shape)]:
                call = f"F.interpolate(x, {size}, mode={mode!r}, align_corners={corner})"
                cases.append(Case(call, {"x": shape}))
    return cases


CASES = [
    *[Case("m(x)", {"x": shape}, layer=f"nn.{text}") for text, shape in (*POOLS, *PADS)],
    *[Case(call, {"x": shape}) for call, shape in CALLS],
    *resizes(),
    Case("F.interpolate(x, 1)", {"x": (2, 3, 4)}),
    *[
        Case(
            f"[F.interpolate(x[..., :n], m, mode={mode!r}) for n in {NEAR} for m in {SIZES_NEAR}]",
            {"x": (1, 1, 31)},
            grad=False,
        )
        for mode in ("nearest", "nearest-exact")
    ],
    Case("F.max_pool1d(x, 3, 1)", {"x": TIES}),
    Case("F.max_pool1d(x, 3, 1, dilation=2)", {"x": TIES}),
    Case("F.adaptive_max_pool1d(x, 4)", {"x": TIES}),
]
