import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    """Pools of odd sizes, each scaled by a weight of its own."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))

    def forward(self, x):
        a = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
        b = F.avg_pool2d(x, 3, stride=2, padding=1)
        c = F.avg_pool2d(x, (2, 3), padding=(1, 0), count_include_pad=False)
        d = F.adaptive_avg_pool2d(x, (3, 4))
        return [gain * pooled for gain, pooled in zip(self.gain, (a, b, c, d))]  # noqa: B905


def get_inputs():
    return [torch.randn(2, 3, 8, 10)]
