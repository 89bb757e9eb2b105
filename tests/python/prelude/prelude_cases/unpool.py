"""Pools with indices, unpools, and losses over classes and sequences."""

from __future__ import annotations

import numpy as np

from prelude_cases import Case

TIES = [[[0.0, 0.0, 1.0, 1.0, 1.0, -1.0, -1.0, 2.0, 2.0]]]
LOWEST = [[[-np.inf, -np.inf, -np.inf, 1.0, -np.inf, -np.inf]]]
POOLS = [
    ("1d", "3, 1", TIES),
    ("1d", "2, 1, 1, 2", LOWEST),
    ("1d", "3, 2, 1, 1, True", (3, 10)),
    ("2d", "3, 2, 1, 2", (2, 3, 9, 8)),
    ("2d", "(3, 2), (2, 3), (1, 0), 1, True", (2, 3, 8, 9)),
    ("3d", "2", (2, 2, 4, 5, 6)),
]
BINS = [("1d", "4", TIES), ("2d", "(3, None)", (2, 3, 7, 6)), ("3d", "2", (2, 2, 4, 5, 6))]
OVERLAP = {"x": [[[3.0, 3.0, 1.0]]], "i": np.array([[[1, 1, 2]]])}
SOURCES = {"x": (2, 3, 2, 2), "i": np.array([[[[0, 3], [9, 14]]] * 3] * 2)}
LABELS = {"x": (3, 4), "y": np.array([[3, 0, -1, 1], [2, 2, 1, -1], [-1, 0, 1, 2]])}
SPEECH = {"x": (7, 3, 5), "y": np.array([[1, 1, 2], [4, 3, 9], [2, 1, 4]])}
LENGTHS = "torch.tensor([7, 6, 4]), torch.tensor([3, 2, 0])"
SHORT = "torch.tensor([3, 6, 4]), torch.tensor([3, 2, 1])"
ADAPTIVE = "nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], 2.0, {bias})"
WORDS = {"x": (5, 8), "y": np.array([0, 11, 5, 3, 6])}


def indexed(name: str, options: str, shape: object) -> Case:
    """A pool that returns indices, in torch's spelling and in the prelude's."""
    call = f"F.{name}(x, {options}, return_indices=True)"
    return Case(call, {"x": shape}, jax=f"F.{name}_with_indices(x, {options})")


CASES = [
    *[indexed(f"max_pool{rank}", options, shape) for rank, options, shape in POOLS],
    *[indexed(f"adaptive_max_pool{rank}", options, shape) for rank, options, shape in BINS],
    Case("m(x, i)", OVERLAP, layer="nn.MaxUnpool1d(2, 1)"),
    Case("m(x, i)", SOURCES, layer="nn.MaxUnpool2d(2)"),
    Case("m(x, i, output_size=(2, 3, 5, 4))", SOURCES, layer="nn.MaxUnpool2d(2, stride=2)"),
    Case("F.max_unpool2d(x[0], i[0], 3, 2, 0, (5, 5))", SOURCES),
    Case("F.max_unpool3d(x[None], i[None], (1, 2, 2))", SOURCES),
    *[
        Case("m(x, y)", LABELS, layer=f"nn.MultiLabelMarginLoss(reduction={how!r})")
        for how in ("mean", "sum", "none")
    ],
    Case("F.multilabel_margin_loss(x[0], y[0])", LABELS),
    *[
        Case(f"m(x.log_softmax(2), y, {LENGTHS})", SPEECH, layer=f"nn.CTCLoss(reduction={how!r})",
             jax=f"m(jax.nn.log_softmax(x, 2), y, {LENGTHS.replace('torch.tensor', 'jnp.array')})")
        for how in ("mean", "sum", "none")
    ],
    Case("F.ctc_loss(x, y, (7, 6, 5), (2, 1, 1), blank=3)", SPEECH),
    Case("F.ctc_loss(x, y[0, :3], (7, 6, 5), (1, 0, 2))", SPEECH),
    Case("F.ctc_loss(x[:, 0], y[0, :2], torch.tensor(6), torch.tensor(2), reduction='none')", SPEECH,
         jax="F.ctc_loss(x[:, 0], y[0, :2], jnp.array(6), jnp.array(2), reduction='none')"),
    Case(f"m(x, y, {SHORT})", SPEECH, layer="nn.CTCLoss(reduction='none', zero_infinity=True)",
         jax=f"m(x, y, {SHORT.replace('torch.tensor', 'jnp.array')})"),
    Case(f"m(x, y, {SHORT})", SPEECH, layer="nn.CTCLoss(reduction='none')", grad=False,
         jax=f"m(x, y, {SHORT.replace('torch.tensor', 'jnp.array')})"),
    *[Case("m(x, y)", WORDS, layer=ADAPTIVE.format(bias=bias)) for bias in (True, False)],
    Case("m(x[0], y[0])", WORDS, layer=ADAPTIVE.format(bias=False)),
    Case("(m.log_prob(x), m.predict(x))", WORDS, layer=ADAPTIVE.format(bias=True)),
]  # fmt: skip
