"""Activations at ordinary numbers and at their kinks; dropout with torch's masks."""

import numpy as np

from prelude_cases import Case

KINKS = [-3.0, -1.0, -0.5, -0.0, 0.0, 0.1, 0.5, 1.0, 3.0, 6.0, 10.0, 19.0, 30.0, -40.0, 2.3, -1.7]
LAYERS = (
    "ReLU() ReLU6() GELU() GELU('tanh') SiLU() Mish() Tanh() Sigmoid() LogSigmoid() SELU() "
    "ELU() ELU(1.7) CELU() CELU(0.5) LeakyReLU() LeakyReLU(0.2) Hardtanh() Hardtanh(-0.5,3.0) "
    "Hardswish() Hardsigmoid() Softplus() Softplus(2.0,1.0) Softsign() Tanhshrink() Hardshrink() "
    "Softshrink() Softshrink(1.0) Threshold(0.1,20.0) PReLU()"
)
FUNCTIONS = (
    "relu relu6 gelu silu mish tanh sigmoid logsigmoid selu elu celu leaky_relu hardtanh "
    "hardswish hardsigmoid softplus softsign tanhshrink hardshrink softshrink"
)
OTHER_NAME = {"logsigmoid": "jax.nn.log_sigmoid(x)", "softsign": "jax.nn.soft_sign(x)"}
DROPOUTS = [
    ("Dropout(0.3)", (4, 5)),
    ("Dropout(0.0)", (4, 5)),
    ("Dropout(1.0)", (4, 5)),
    ("Dropout1d(0.4)", (3, 5, 4)),
    ("Dropout1d(0.4)", (5, 4)),
    ("Dropout2d(0.4)", (3, 5, 2, 4)),
    ("Dropout2d(0.4)", (3, 5, 4)),
    ("Dropout3d(0.4)", (3, 5, 2, 2, 2)),
    ("Dropout3d(0.4)", (5, 2, 2, 2)),
    ("AlphaDropout(0.3)", (4, 5)),
    ("FeatureAlphaDropout(0.3)", (4, 5, 3)),
]
MASKED = [[-np.inf, 1.0, 2.0], [-np.inf, -np.inf, 0.5], [-np.inf, -np.inf, -np.inf]]

CASES = [
    *[Case("m(x)", {"x": KINKS}, layer=f"nn.{text}") for text in LAYERS.split()],
    *[Case(f"F.{name}(x)", {"x": (3, 4)}, jax=OTHER_NAME.get(name)) for name in FUNCTIONS.split()],
    Case("m(x)", {"x": (2, 3, 4)}, layer="nn.PReLU(3)"),
    Case("m(x)", {"x": (2, 3)}, layer="nn.PReLU(3)"),
    Case("m(x)", {"x": (3, 4)}, layer="nn.Softmin(0)"),
    Case("m(x)", {"x": KINKS}, layer="nn.LogSoftmax(0)"),
    Case("m(x)", {"x": (2, 3, 4)}, layer="nn.Softmax()"),
    Case("m(x)", {"x": (2, 3)}, layer="nn.Softmax()"),
    Case("m(x)", {"x": (2, 3, 4, 2)}, layer="nn.Softmax2d()"),
    Case("m(x)", {"x": (2, 6)}, layer="nn.GLU()"),
    Case("F.glu(x, 1)", {"x": (2, 6, 2)}),
    Case("F.gelu(x, approximate='tanh')", {"x": KINKS}),
    Case("F.threshold(x, 0.5, -2.0)", {"x": KINKS}),
    Case("F.prelu(x, w)", {"x": (2, 3, 2), "w": (3,)}),
    Case("F.softmax(x, -1)", {"x": MASKED}, grad=False),
    Case("F.softmax(x, -1)", {"x": MASKED[:2]}),
    Case("F.log_softmax(x, 1)", {"x": MASKED[:2]}, grad=False),
    Case("F.softmin(x, 1)", {"x": (2, 3)}),
    *[
        Case("m(x)", {"x": shape}, layer=f"nn.{text}", train=train)
        for text, shape in DROPOUTS
        for train in (True, False)
    ],
    Case("F.dropout(x, 0.3)", {"x": (3, 4)}, jax="F.dropout(x, 0.3, rngs=rngs)"),
    Case("F.dropout2d(x, 0.3)", {"x": (3, 4, 2, 2)}, jax="F.dropout2d(x, 0.3, rngs=rngs)"),
    Case("F.dropout(x, 0.3, training=False)", {"x": (3, 4)}),
    Case("F.alpha_dropout(x, 0.3)", {"x": (3, 4)}),
    Case("m(x)", {"x": (2, 4)}, layer="nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))"),
    Case(
        "m[1](m[0](x)) + len(m) + m[:1](x).sum() + m[-1](m[0](x))",
        {"x": (2, 4)},
        layer="nn.Sequential(nn.Linear(4, 3), nn.Tanh())",
    ),
]
