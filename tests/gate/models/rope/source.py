import torch
from torch import nn
from torch.nn import functional as F


def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([-b, a], dim=-1)


class Model(nn.Module):
    """Causal attention with rotary positions and two query heads for each key head."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(16, 16, bias=False)
        self.k_proj = nn.Linear(16, 8, bias=False)
        self.v_proj = nn.Linear(16, 8, bias=False)
        self.o_proj = nn.Linear(16, 16, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, 4, 4).transpose(1, 2)
        k = self.k_proj(x).view(b, t, 2, 4).transpose(1, 2)
        v = self.v_proj(x).view(b, t, 2, 4).transpose(1, 2)
        freqs = 1.0 / 100.0 ** (torch.arange(0, 4, 2, dtype=x.dtype) / 4)
        angles = torch.arange(t, dtype=x.dtype)[:, None] * freqs
        angles = torch.cat([angles, angles], dim=-1)
        q = q * angles.cos() + rotate_half(q) * angles.sin()
        k = k * angles.cos() + rotate_half(k) * angles.sin()
        k, v = (z.repeat_interleave(2, dim=1) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


def get_inputs():
    return [torch.randn(2, 6, 16)]
