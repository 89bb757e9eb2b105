import torch
from torch.nn import functional as F


def smooth_loss(x, y, noise=0.5):
    moved = x + noise * torch.rand_like(x)
    return F.smooth_l1_loss(moved, y), (moved - y).abs().amax()


def get_inputs():
    return [torch.randn(3, 4), torch.randn(3, 4)]
