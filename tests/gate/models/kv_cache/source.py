import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    """One step of decoding: new keys and values are written behind the first `used` ones."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x, keys, values):
        used, new = 3, x.shape[1]
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        keys, values = keys.clone(), values.clone()
        keys[:, used : used + new] = k
        values[:, used : used + new] = v
        q, k, v = (z.unflatten(-1, (2, 4)).transpose(1, 2) for z in (q, keys, values))
        rows = torch.arange(new)[:, None] + used
        keep = torch.arange(keys.shape[1]) <= rows
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        return self.out(y.transpose(1, 2).flatten(2)), keys, values


def get_inputs():
    return [torch.randn(2, 2, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 8)]
