"""Linen's ConvTranspose as it is by default, on flipped kernels; the last layer a Dense."""

import jax.numpy as jnp
from flax import linen as nn


class UNet(nn.Module):
    def setup(self):
        self.encoder = nn.Conv(4, (3, 3), padding=1)
        self.downsampling = nn.Conv(4, (3, 3), strides=2, padding=1)
        self.upsampling = nn.ConvTranspose(4, (2, 2), strides=(2, 2), padding="VALID")
        self.decoder = nn.Conv(4, (3, 3), padding=1)
        self.normalization = nn.InstanceNorm(epsilon=1e-5, use_fast_variance=False)
        self.output = nn.Dense(2)

    def __call__(self, x):
        a = nn.relu(self.encoder(x.transpose(0, 2, 3, 1)))
        y = jnp.concatenate([self.upsampling(nn.relu(self.downsampling(a))), a], -1)
        y = nn.relu(self.normalization(self.decoder(y)))
        return self.output(y).transpose(0, 3, 1, 2)
