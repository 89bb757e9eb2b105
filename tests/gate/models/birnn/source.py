import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 4, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        y, h = self.rnn(x)
        return y, h


def get_inputs():
    return [torch.randn(3, 6, 4)]
