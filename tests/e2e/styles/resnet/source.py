import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, planes, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, width, 3, stride, 1, bias=False)
        self.gn1 = nn.GroupNorm(2, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.gn2 = nn.GroupNorm(2, width)
        self.downsample = None
        if stride != 1 or planes != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(planes, width, 1, stride, bias=False), nn.GroupNorm(2, width)
            )

    def forward(self, x):
        kept = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.gn1(self.conv1(x)))
        return F.relu(self.gn2(self.conv2(x)) + kept)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.blocks = nn.ModuleList([Block(4, 4, 1), Block(4, 6, 2)])
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


def get_inputs():
    return [torch.randn(4, 2, 8, 8)]
