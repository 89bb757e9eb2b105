"""Attention, transformer and recurrent layers."""

import numpy as np

from prelude_cases import Case

DEAD = np.zeros((4, 4), bool)
DEAD[1] = True
CAUSAL = np.where(np.triu(np.ones((4, 4)), 1) > 0, -np.inf, 0.0)
QKV = {"q": (2, 3, 4, 6), "k": (2, 3, 5, 6), "v": (2, 3, 5, 7)}
BATCH_FIRST = {"q": (2, 4, 6), "k": (2, 5, 6), "v": (2, 5, 6)}
SELF = {"x": (2, 4, 6)}
PADDING = [[False, False, False, True, True], [False, False, False, False, True]]
MEMORY = {"x": (2, 4, 6), "y": (2, 5, 6)}


def attention(options: str, call: str, inputs: dict[str, object], train: bool = False) -> Case:
    """A MultiheadAttention over 6 features with 2 heads."""
    return Case(call, inputs, layer=f"nn.MultiheadAttention(6, 2{options})", train=train)


SDPA = "F.scaled_dot_product_attention"
ATTENTION = [
    Case(f"{SDPA}(q, k, v)", QKV),
    Case(f"{SDPA}(q, k, v, is_causal=True)", QKV),
    Case(f"{SDPA}(q, k, v, scale=0.3)", QKV),
    Case(f"{SDPA}(q, k, v, a)", {**QKV, "a": {"bool": (4, 5)}}),
    Case(f"{SDPA}(q, k, v, a)", {**QKV, "a": (2, 1, 4, 5)}),
    Case(f"{SDPA}(x, x, x, ~a)", {"x": (2, 1, 4, 6), "a": DEAD}),
    Case(
        f"{SDPA}(q, k, v, enable_gqa=True)",
        {"q": (2, 6, 4, 5), "k": (2, 2, 3, 5), "v": (2, 2, 3, 5)},
    ),
    Case(f"{SDPA}(q, k, v, dropout_p=0.4)", QKV, jax=f"{SDPA}(q, k, v, dropout_p=0.4, rngs=rngs)"),
    Case(f"{SDPA}(x, x, x)", {"x": (4, 6)}),
    attention("", "m(x, x, x)", SELF),
    attention("", "m(x, x, x)", {"x": (4, 6)}),
    attention(", bias=False", "m(x, x, x, need_weights=False)", SELF),
    attention(", batch_first=True", "m(q, k, v)", BATCH_FIRST),
    attention(
        ", batch_first=True",
        "m(q, k, v, key_padding_mask=p, average_attn_weights=False)",
        {**BATCH_FIRST, "p": PADDING},
    ),
    attention(
        ", batch_first=True",
        "m(q, k, v, p, need_weights=False, attn_mask=a)",
        {**BATCH_FIRST, "p": np.where(PADDING, -np.inf, 0.0), "a": (4, 5)},
    ),
    attention(
        ", batch_first=True",
        "m(x, x, x, attn_mask=a, need_weights=False)",
        {**SELF, "a": DEAD},
    ),
    attention(
        ", batch_first=True",
        "m(x, x, x, attn_mask=a, need_weights=False, is_causal=True)",
        {**SELF, "a": CAUSAL},
    ),
    attention(", batch_first=True", "m(x, x, x, attn_mask=a)", {**SELF, "a": (4, 4, 4)}),
    attention(
        ", kdim=3, vdim=5, batch_first=True",
        "m(q, k, v)",
        {"q": (2, 4, 6), "k": (2, 5, 3), "v": (2, 5, 5)},
    ),
    attention(", dropout=0.3", "m(x, x, x)", SELF, train=True),
    attention(", dropout=0.3", "m(x, x, x, need_weights=False)", SELF, train=True),
    attention(", dropout=0.3", "m(x, x, x)", SELF),
]
ENCODER = "nn.TransformerEncoderLayer(6, 2, 8"
DECODER = "nn.TransformerDecoderLayer(6, 2, 8"
TRANSFORMER = [
    Case("m(x)", SELF, layer=f"{ENCODER}, 0.0)", train=True),
    Case("m(x)", SELF, layer=f"{ENCODER}, batch_first=True)"),
    Case("m(x)", SELF, layer=f"{ENCODER}, 0.2, 'gelu', norm_first=True)", train=True),
    Case("m(x, m_)", {**SELF, "m_": CAUSAL}, layer=f"{ENCODER}, batch_first=True, bias=False)"),
    Case(
        "m(x, is_causal=True, src_mask=c)",
        {**SELF, "c": CAUSAL},
        layer=f"{ENCODER}, 0.0, batch_first=True)",
        train=True,
    ),
    Case("m(x)", SELF, layer=f"nn.TransformerEncoder({ENCODER}), 2)", train=True),
    Case(
        "m(x, mask=c)",
        {**SELF, "c": (4, 4)},
        layer=f"nn.TransformerEncoder({ENCODER}, 0.1, batch_first=True), 2, nn.LayerNorm(6))",
    ),
    Case("m(x, y)", {"x": (4, 2, 6), "y": (5, 2, 6)}, layer=f"{DECODER})"),
    Case(
        "m(x, y, tgt_mask=c, memory_key_padding_mask=p)",
        {**MEMORY, "c": CAUSAL, "p": PADDING},
        layer=f"{DECODER}, 0.2, 'gelu', batch_first=True, norm_first=True)",
        train=True,
    ),
    Case(
        "m(x, y)",
        MEMORY,
        layer=f"nn.TransformerDecoder({DECODER}, batch_first=True), 2, nn.LayerNorm(6))",
    ),
    Case(
        "m(y, x, tgt_mask=m.generate_square_subsequent_mask(4))",
        MEMORY,
        layer="nn.Transformer(6, 2, 1, 2, 8, 0.1, batch_first=True)",
        train=True,
    ),
]
RECURRENT = [
    *[
        Case("m(x)", {"x": (5, 2, 3)}, layer=f"nn.{name}(3, 4{options})", train=train)
        for name in ("RNN", "LSTM", "GRU")
        for options, train in (
            ("", False),
            (", 2, bidirectional=True, bias=False", False),
            (", num_layers=3, dropout=0.4, batch_first=True, bidirectional=True", True),
        )
    ],
    Case("m(x)", {"x": (5, 2, 3)}, layer="nn.RNN(3, 4, nonlinearity='relu')"),
    Case("m(x)", {"x": (5, 3)}, layer="nn.GRU(3, 4, bidirectional=True, batch_first=True)"),
    Case("m(x)[0]", {"x": (5, 3)}, layer="nn.LSTM(3, 4, 2, dropout=0.3)", train=True),
    Case("m(x, h)", {"x": (2, 5, 3), "h": (2, 2, 4)}, layer="nn.GRU(3, 4, 2, batch_first=True)"),
    Case("m(x, h)", {"x": (5, 3), "h": (1, 4)}, layer="nn.RNN(3, 4)"),
    Case(
        "m(x, (h, c))",
        {"x": (5, 2, 3), "h": (4, 2, 4), "c": (4, 2, 4)},
        layer="nn.LSTM(3, 4, 2, bidirectional=True)",
    ),
    Case("m(x)", {"x": (2, 3)}, layer="nn.LSTMCell(3, 4)"),
    Case("m(x, (h, c))", {"x": (2, 3), "h": (2, 4), "c": (2, 4)}, layer="nn.LSTMCell(3, 4)"),
    Case("m(x, h)", {"x": (2, 3), "h": (2, 4)}, layer="nn.GRUCell(3, 4)"),
    Case("m(x)", {"x": (3,)}, layer="nn.GRUCell(3, 4, bias=False)"),
    Case("m(x, h)", {"x": (2, 3), "h": (2, 4)}, layer="nn.RNNCell(3, 4, nonlinearity='relu')"),
    Case("m(x)", {"x": (2, 3)}, layer="nn.RNNCell(3, 4)"),
]

CASES = [*ATTENTION, *TRANSFORMER, *RECURRENT]
