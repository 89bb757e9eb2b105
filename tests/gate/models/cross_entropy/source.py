import torch
from torch.nn import functional as F


def loss(logits, target, weight):
    """Weighted, smoothed cross entropy; class 2 is ignored."""
    plain = F.cross_entropy(logits, target, weight=weight.detach(), ignore_index=2)
    smooth = F.cross_entropy(logits, target, label_smoothing=0.1, reduction="none")
    return plain, smooth


def get_inputs():
    return [torch.randn(6, 5, 4), torch.randint(0, 5, (6, 4)), torch.rand(5) + 0.5]
