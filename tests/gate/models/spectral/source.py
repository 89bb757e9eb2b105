import torch
from torch import nn


class Model(nn.Module):
    """A filter in the frequency domain with complex weights kept as pairs."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(5, 4, 3, 2) * 0.1)
        self.proj = nn.Linear(3, 3)

    def forward(self, x):
        z = torch.fft.rfft2(x, dim=(1, 2), norm="ortho")
        z = z * torch.view_as_complex(self.filter)
        y = torch.fft.irfft2(z, s=x.shape[1:3], dim=(1, 2), norm="ortho")
        return x + self.proj(y), z.abs()


def get_inputs():
    return [torch.randn(2, 5, 6, 3)]
