import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            6, 2, 12, 0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        return self.norm(self.encoder(x))


def get_inputs():
    return [torch.randn(3, 5, 6)]
