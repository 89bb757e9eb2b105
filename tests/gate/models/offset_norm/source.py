import torch
from torch import nn


class Model(nn.Module):
    """Standardised readings with a large mean, and their log-odds."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(10)
        self.fc = nn.Linear(10, 4)

    def forward(self, x):
        y = self.fc(self.norm(x))
        spread = x.std(dim=-1)
        total = torch.logsumexp(x, dim=-1)
        return y, spread, total, torch.log1p(torch.exp(-y * y))


def get_inputs():
    return [40 + torch.randn(6, 10)]
