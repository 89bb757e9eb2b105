import torch
from torch import nn


class Model(nn.Module):
    """Attention with a padding mask; the first key of each row is never masked."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, padded):
        padded = padded & (torch.arange(x.shape[1]) > 0)
        y, weights = self.attn(x, x, x, key_padding_mask=padded)
        return y, weights


def get_inputs():
    return [torch.randn(4, 5, 8), torch.rand(4, 5) < 0.4]
