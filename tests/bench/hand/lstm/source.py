"""A two-layer LSTM over token sequences; the last step decides the label."""

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocabulary: int = 1000, width: int = 64, hidden: int = 128):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, batch_first=True)
        self.head = nn.Linear(hidden, 5)

    def forward(self, tokens):
        x, _ = self.lstm(self.tokens(tokens))
        return self.head(x[:, -1])


def get_inputs():
    return [torch.randint(0, 1000, (8, 48))]
