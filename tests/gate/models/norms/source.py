import torch
from torch import nn


class Model(nn.Module):
    """Group, instance and layer norm in a row."""

    def __init__(self):
        super().__init__()
        self.group = nn.GroupNorm(3, 6)
        self.instance = nn.InstanceNorm2d(6, affine=True)
        self.plain = nn.InstanceNorm2d(6)
        self.layer = nn.LayerNorm([6, 5, 4])

    def forward(self, x):
        y = self.group(x) + self.instance(torch.sin(x))
        return self.layer(y + self.plain(x * x))


def get_inputs():
    return [torch.randn(3, 6, 5, 4)]
