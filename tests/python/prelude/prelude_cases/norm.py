"""Normalisation, in train and eval mode, with the state after it."""

from prelude_cases import Case

BATCH = [
    ("BatchNorm1d(3)", (5, 3)),
    ("BatchNorm1d(3)", (4, 3, 6)),
    ("BatchNorm2d(3)", (2, 3, 4, 5)),
    ("BatchNorm2d(3, eps=1e-3, momentum=0.3)", (2, 3, 4, 5)),
    ("BatchNorm2d(3, momentum=None)", (2, 3, 4, 5)),
    ("BatchNorm2d(3, affine=False)", (2, 3, 4, 5)),
    ("BatchNorm2d(3, track_running_stats=False)", (2, 3, 4, 5)),
    ("BatchNorm3d(3, affine=False, track_running_stats=False)", (2, 3, 2, 3, 2)),
    ("BatchNorm3d(3)", (2, 3, 2, 3, 2)),
    ("InstanceNorm1d(3)", (2, 3, 5)),
    ("InstanceNorm1d(3, affine=True)", (3, 5)),
    ("InstanceNorm2d(3, affine=True, track_running_stats=True)", (2, 3, 4, 5)),
    ("InstanceNorm2d(3, track_running_stats=True, momentum=0.4)", (2, 3, 4, 5)),
    ("InstanceNorm3d(3, eps=1e-2)", (2, 3, 2, 3, 2)),
]
PLAIN = [
    ("LayerNorm(6)", (2, 3, 6)),
    ("LayerNorm((3, 6), eps=1e-3)", (2, 3, 6)),
    ("LayerNorm([4], elementwise_affine=False)", (2, 4)),
    ("LayerNorm(6, bias=False)", (2, 6)),
    ("GroupNorm(2, 6)", (2, 6, 3, 4)),
    ("GroupNorm(6, 6, affine=False)", (2, 6, 3)),
    ("GroupNorm(1, 6, eps=1e-2)", (2, 6)),
    ("RMSNorm(6)", (2, 3, 6)),
    ("RMSNorm((3, 6), eps=1e-2)", (2, 3, 6)),
    ("RMSNorm(6, elementwise_affine=False)", (2, 6)),
    ("LocalResponseNorm(3)", (2, 7, 4, 5)),
    ("LocalResponseNorm(4, alpha=0.5, beta=0.6, k=2.0)", (2, 7, 4)),
]

CASES = [
    *[
        Case(call, {"x": shape}, layer=f"nn.{text}", train=train)
        for text, shape in BATCH
        for train, call in ((True, "m(x) + m(x * 2 + 1)"), (False, "m(x)"))
    ],
    *[Case("m(x)", {"x": shape}, layer=f"nn.{text}") for text, shape in PLAIN],
    Case("F.layer_norm(x, (3, 4), w, b, 1e-4)", {"x": (2, 3, 4), "w": (3, 4), "b": (3, 4)}),
    Case("F.group_norm(x, 2, w, b)", {"x": (2, 4, 3), "w": (4,), "b": (4,)}),
    Case("F.instance_norm(x, weight=w)", {"x": (2, 4, 3), "w": (4,)}),
    Case("F.rms_norm(x, (4,), w)", {"x": (2, 4), "w": (4,)}),
    Case("F.batch_norm(x, None, None, training=True)", {"x": (5, 4)}),
    Case(
        "F.batch_norm(x, a, b, w, c, False, 0.1, 1e-3)",
        {"x": (5, 4), "a": (4,), "b": {"positive": (4,)}, "w": (4,), "c": (4,)},
        grad=False,
    ),
    Case("F.local_response_norm(x, 2)", {"x": (2, 4, 3)}),
]
