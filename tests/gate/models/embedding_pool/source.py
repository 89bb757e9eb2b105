import torch
from torch import nn


class Model(nn.Module):
    """A bag of words: the mean of all tokens that are not padding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=0)
        self.fc = nn.Linear(6, 4)

    def forward(self, tokens):
        keep = (tokens != 0).unsqueeze(-1)
        x = self.embed(tokens)
        total = (x * keep).sum(dim=1)
        mean = total / keep.sum(dim=1).clamp(min=1)
        return self.fc(mean), x


def get_inputs():
    return [torch.randint(0, 11, (4, 9))]
