import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    """Running sums, norms, ranks and roundings of a small table."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        x = x + self.shift
        unit = F.normalize(x, dim=1)
        running = torch.cumsum(x, dim=1)
        spread = torch.std(x, dim=0)
        middle = torch.median(x, dim=1).values
        clipped = torch.clamp(x, -0.5, 1.0)
        best = torch.argmax(x, dim=1)
        ordered, order = torch.sort(x, dim=1, descending=True)
        whole = torch.div(order, 2, rounding_mode="floor") - torch.remainder(best[:, None] - 3, 4)
        tail = x[:, 1:] - x[:, :-1]
        return unit, running, spread, middle, clipped, best, ordered, whole, tail


def get_inputs():
    return [torch.randn(4, 6)]
