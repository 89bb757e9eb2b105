"""A recurrent forecaster: encodes a window of several series, then rolls the horizon out step by step."""

import torch
from torch import nn


class Forecaster(nn.Module):
    """Predicts `horizon` values of `targets` series from a window of `features` series.

    The encoder is a two-layer LSTM over the window; the decoder is a GRU cell that is fed its own
    last prediction.
    """

    def __init__(self, features: int = 6, hidden: int = 24, targets: int = 2, horizon: int = 5):
        super().__init__()
        self.horizon = horizon
        self.norm = nn.LayerNorm(features)
        self.encoder = nn.LSTM(features, hidden, num_layers=2, batch_first=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.decoder = nn.GRUCell(targets, hidden)
        self.readout = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, targets))

    def forward(self, window):
        # window: (batch, time, features)
        _, (h, c) = self.encoder(self.norm(window))
        state = torch.tanh(self.bridge(torch.cat([h[-1], c[-1]], dim=-1)))
        value = window[:, -1, : self.readout[2].out_features]
        predictions = []
        for _ in range(self.horizon):
            state = self.decoder(value, state)
            value = value + self.readout(state)  # predict the change, not the level
            predictions.append(value)
        return torch.stack(predictions, dim=1)  # (batch, horizon, targets)


def get_inputs():
    return [torch.randn(4, 16, 6)]
