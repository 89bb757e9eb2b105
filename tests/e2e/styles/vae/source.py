import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(7, 9), nn.Tanh())
        self.mu = nn.Linear(9, latent)
        self.logvar = nn.Linear(9, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 9), nn.Tanh(), nn.Linear(9, 7))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(-1).mean()
        return {"reconstruction": self.decoder(z), "mu": mu, "logvar": logvar, "kl": kl}


def get_inputs():
    return [torch.randn(4, 7)]
