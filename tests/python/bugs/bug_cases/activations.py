import math

import torch
from formulas import sigmoid, softmax

from bug_cases import Case, forward, layer

X = "(torch.randn(3, 4, 4) * 3,)"


def _gelu_tanh(x, w):
    x = x[0]
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _negative(change):
    return lambda x, w: torch.where(x[0] > 0, x[0], change(x[0]))


CASES = [
    Case("gelu_tanh", layer("nn.GELU()"), X, _gelu_tanh),
    Case("gelu_tanh", forward("return F.gelu(self.a(x))", "self.a = nn.Linear(4, 4)"), X,
         "jax.nn.gelu(x[0] @ w['a.weight'].T + w['a.bias'])"),
    Case("gelu_exact", layer("nn.GELU('tanh')"), X,
         lambda x, w: x[0] * (1 + torch.erf(x[0] / math.sqrt(2))) / 2),
    Case("gelu_quick", layer("nn.GELU()"), X, lambda x, w: x[0] * sigmoid(1.702 * x[0])),
    Case("leaky_relu_slope", layer("nn.LeakyReLU(0.2)"), X, _negative(lambda x: 0.01 * x)),
    Case("leaky_relu_slope", forward("return F.leaky_relu(x, 0.2)"), X, "jax.nn.leaky_relu(x[0])"),
    Case("prelu_channel_axis", layer("nn.PReLU(4)"), X,
         lambda x, w: torch.where(x[0] > 0, x[0], x[0] * w["f.weight"])),
    Case("elu_alpha", layer("nn.ELU(0.5)"), X, _negative(lambda x: torch.exp(x) - 1)),
    Case("elu_alpha", layer("nn.ELU(2.0)"), X, "jax.nn.elu(x[0])"),
    Case("celu_as_elu", layer("nn.CELU(0.5)"), X, _negative(lambda x: 0.5 * (torch.exp(x) - 1))),
    Case("celu_as_elu", layer("nn.ELU(0.5)"), X, _negative(lambda x: (torch.exp(2 * x) - 1) / 2)),
    Case("softplus_beta", layer("nn.Softplus(2.0)"), X, "jax.nn.softplus(x[0])"),
    Case("hardsigmoid_slope", layer("nn.Hardsigmoid()"), X,
         lambda x, w: torch.minimum(torch.maximum(0.2 * x[0] + 0.5, x[0] * 0), x[0] * 0 + 1)),
    Case("relu6_unbounded", layer("nn.ReLU6()"), "(torch.randn(4, 4) * 9,)", "jax.nn.relu(x[0])"),
    Case("hardtanh_bounds", layer("nn.Hardtanh(-2.0, 3.0)"), X, "jax.nn.hard_tanh(x[0])"),
    Case("glu_swapped", layer("nn.GLU()"), X,
         lambda x, w: sigmoid(x[0][..., :2]) * x[0][..., 2:]),
    Case("glu_axis", layer("nn.GLU(1)"), X, "jax.nn.glu(x[0])"),
    Case("softmax_axis", layer("nn.Softmax(1)"), X, "jax.nn.softmax(x[0])"),
    Case("softmax_axis", forward("return torch.softmax(x, -1)"), X,
         lambda x, w: softmax(x[0], 1)),
    Case("softmax_axis", forward("return x.log_softmax(dim=2)"), X,
         lambda x, w: softmax(x[0], 0).log()),
    Case("softmax_logarithm", layer("nn.LogSoftmax(-1)"), X, lambda x, w: softmax(x[0], -1)),
]  # fmt: skip
