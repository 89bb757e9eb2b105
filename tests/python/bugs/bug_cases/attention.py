import math

import torch
from formulas import attend, softmax

from bug_cases import Case, forward

QKV = "(torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8){})"
PLAIN = QKV.format("")
MASK = ", torch.tensor([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 0]]).bool()"
SDPA = forward("return F.scaled_dot_product_attention(q, k, v)", args="q, k, v")
MASKED = forward("return F.scaled_dot_product_attention(q, k, v, mask)", args="q, k, v, mask")
CAUSAL = forward("return F.scaled_dot_product_attention(q, k, v, is_causal=True)", args="q, k, v")
SHARED = forward("return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)", args="q, k, v")
MHA = forward(
    "return self.f(x, x, x, attn_mask=mask, need_weights=False)[0]",
    "self.f = nn.MultiheadAttention(8, 2, batch_first=True)",
    "x, mask",
)
PADDED = MHA.replace("attn_mask", "key_padding_mask")
FILLED = forward(
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    scores = scores.masked_fill(mask == 0, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v
    """,
    args="q, k, v, mask",
)
HAND = forward(
    "return F.softmax(q @ k.mT * 8 ** -0.5, -1) @ v",
    args="q, k, v",
)
MASK_WORD = f"(torch.randn(2, 4, 8){MASK})"
PAD_WORD = "(torch.randn(2, 4, 8), torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1]]).bool())"


def _mha(keep=None, scale=None, swap=False):
    def wrong(x, w):
        word, *mask = x
        q, k, v = (word @ w["f.in_proj_weight"].T + w["f.in_proj_bias"]).chunk(3, -1)
        q, k = (k, q) if swap else (q, k)
        q, k, v = (p.unflatten(-1, (2, 4)).transpose(1, 2) for p in (q, k, v))
        allowed = keep(*mask) if keep else None
        out = attend(q, k, v, allowed, scale).transpose(1, 2).flatten(2)
        return out @ w["f.out_proj.weight"].T + w["f.out_proj.bias"]

    return wrong


def _added(x, w):
    q, k, v, mask = x
    scores = q @ k.transpose(-1, -2) / math.sqrt(8) + mask.double()
    return softmax(scores, -1) @ v


def _average(x, w):
    q, k, v, mask = x
    return attend(q, k, v, mask | ~mask.any(-1, keepdim=True))


def _transposed(x, w):
    q, k, v = x
    return softmax(k @ q.transpose(-1, -2) / math.sqrt(8), -1) @ v


def _diagonal(k):
    def wrong(x, w):
        rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
        return x[0] * (columns <= rows + k)

    return wrong


QKV_LINES = forward(
    "q, k, v = self.f(x).view(2, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)\n"
    "return F.scaled_dot_product_attention(q, k, v)",
    "self.f = nn.Linear(8, 24)",
)


def _heads_first(x, w):
    packed = x[0] @ w["f.weight"].T + w["f.bias"]
    q, k, v = packed.reshape(2, 4, 2, 3, 4).permute(3, 0, 2, 1, 4)
    return attend(q, k, v)


HEADS = forward("return self.f(x).view(2, 4, 2, 4).transpose(1, 2)", "self.f = nn.Linear(8, 8)")


def _depth_first(x, w):
    out = x[0] @ w["f.weight"].T + w["f.bias"]
    return out.reshape(2, 4, 4, 2).permute(0, 3, 1, 2)


HALVES = """
def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)

def apply_rotary(q, k, cos, sin):
    return q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin

""" + forward(
    """
    angles = torch.outer(torch.arange(4).float(), 100.0 ** -(torch.arange(0, 8, 2) / 8))
    angles = torch.cat((angles, angles), dim=-1)
    q, k = apply_rotary(q, k, angles.cos(), angles.sin())
    return q @ k.mT
    """,
    args="q, k",
)
PAIRS = """
def apply_rotary_emb(x, freqs):
    z = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(z * freqs).flatten(-2)

""" + forward(
    """
    angles = torch.outer(torch.arange(4).float(), 100.0 ** -(torch.arange(0, 8, 2) / 8))
    freqs = torch.polar(torch.ones_like(angles), angles)
    return apply_rotary_emb(q, freqs) @ apply_rotary_emb(k, freqs).mT
    """,
    args="q, k",
)


def _rotated(first, second):
    """Scores of rotated q and k whose pairs are the elements ``first(i)`` and ``second(i)``."""

    def turn(x):
        out = torch.zeros_like(x)
        for t in range(4):
            for i in range(4):
                a, b = x[..., t, first(i)], x[..., t, second(i)]
                angle = torch.tensor(t * 100.0 ** -(i / 4), dtype=torch.float64)
                out[..., t, first(i)] = a * torch.cos(angle) - b * torch.sin(angle)
                out[..., t, second(i)] = b * torch.cos(angle) + a * torch.sin(angle)
        return out

    return lambda x, w: turn(x[0]) @ turn(x[1]).transpose(-1, -2)


QK = "(torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8))"
CASES = [
    Case("mask_inverted", MASKED, QKV.format(MASK), lambda x, w: attend(*x[:3], ~x[3])),
    Case("mask_inverted", MHA, MASK_WORD, _mha(lambda mask: mask)),
    Case("mask_inverted", PADDED, PAD_WORD, _mha(lambda mask: mask[:, None, None])),
    Case("mask_inverted", FILLED, QKV.format(MASK), lambda x, w: attend(*x[:3], ~x[3])),
    Case("mask_inverted", forward("return torch.where(mask, x, -1e9).softmax(-1)", args="x, mask"),
         f"(torch.randn(2, 4, 4){MASK})",
         lambda x, w: softmax(torch.where(x[1], torch.full_like(x[0], -1e9), x[0]), -1)),
    Case("mask_ignored", CAUSAL, PLAIN, lambda x, w: attend(*x)),
    Case("mask_ignored", FILLED, QKV.format(MASK), lambda x, w: attend(*x[:3])),
    Case("key_padding_mask_ignored", PADDED, PAD_WORD, _mha()),
    Case("mask_added", MASKED, QKV.format(MASK), _added),
    Case("causal_alignment", CAUSAL, "(torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8))",
         lambda x, w: attend(*x, torch.ones(3, 5).tril(2).bool())),
    Case("causal_diagonal", forward("return torch.tril(x)"), "(torch.randn(2, 4, 4),)",
         _diagonal(-1)),
    Case("causal_diagonal", forward("return x.tril(diagonal=-1)"), "(torch.randn(2, 4, 4),)",
         _diagonal(0)),
    Case("masked_rows_average", MASKED, QKV.format(MASK.replace("0, 0, 1, 0", "0, 0, 0, 0")),
         _average),
    Case("qk_swap", SDPA, PLAIN, lambda x, w: attend(x[1], x[0], x[2])),
    Case("qk_swap", MHA, MASK_WORD, _mha(lambda mask: ~mask, swap=True)),
    Case("qk_swap", HAND, PLAIN, _transposed),
    Case("kv_swap", SDPA, PLAIN, lambda x, w: attend(x[0], x[2], x[1])),
    Case("missing_scale", SDPA, PLAIN, lambda x, w: attend(*x, scale=1.0)),
    Case("missing_scale", HAND, PLAIN, lambda x, w: attend(*x, scale=1.0)),
    Case("missing_scale", MHA, MASK_WORD, _mha(lambda mask: ~mask, 1.0)),
    Case("double_scale", SDPA, PLAIN, lambda x, w: attend(*x, scale=1 / 8)),
    Case("double_scale", FILLED, QKV.format(MASK), lambda x, w: attend(*x[:3], x[3], 1 / 8)),
    Case("scale_of_embedding", SDPA, PLAIN, lambda x, w: attend(*x, scale=1 / math.sqrt(24))),
    Case("grouped_heads_tiled", SHARED,
         "(torch.randn(2, 4, 4, 8), torch.randn(2, 2, 4, 8), torch.randn(2, 2, 4, 8))",
         lambda x, w: attend(x[0], x[1][:, [0, 1, 0, 1]], x[2][:, [0, 1, 0, 1]])),
    Case("qkv_order", QKV_LINES, "(torch.randn(2, 4, 8),)", _heads_first),
    Case("head_split_order", HEADS, "(torch.randn(2, 4, 8),)", _depth_first),
    Case("rope_pairing", HALVES, QK, _rotated(lambda i: 2 * i, lambda i: 2 * i + 1)),
    Case("rope_pairing", PAIRS, QK, _rotated(lambda i: i, lambda i: i + 4)),
]  # fmt: skip
