import torch
import torch.nn.functional as F


def focal_loss(logits, target, weight, gamma=2.0):
    raw = F.cross_entropy(logits, target, reduction="none", label_smoothing=0.1)
    p = torch.exp(-raw)
    loss = (1 - p) ** gamma * raw * weight[target]
    return {"mean": loss.sum() / weight[target].sum(), "each": loss}


def get_inputs():
    return [torch.randn(5, 4), torch.randint(0, 4, (5,)), torch.rand(4) + 0.5]
