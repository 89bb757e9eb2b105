import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            d_model=12, nhead=3, dim_feedforward=20, dropout=0.0, batch_first=True
        )

    def forward(self, x, mask):
        return self.layer(x, src_mask=mask)


def get_inputs():
    return [torch.randn(4, 5, 12), torch.randn(5, 5)]
