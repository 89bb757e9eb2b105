import math

import torch

from bug_cases import Case, forward, layer

X = "(torch.randn(5, 6),)"
WORDS = "(torch.tensor([[0, 1, 2], [3, 1, 4]]),)"


def _coarse(x):
    """Rounded to bfloat16, by way of its own type."""
    return x.float().bfloat16().double()


def _clipped_rows(x, w):
    return w["f.weight"][x[0]]


CASES = [
    Case("transposed_square_weight", layer("nn.Linear(6, 6)"), X,
         lambda x, w: x[0] @ w["f.weight"] + w["f.bias"]),
    Case("weight_reshaped", layer("nn.Linear(6, 3)"), X,
         lambda x, w: x[0] @ w["f.weight"].reshape(6, 3) + w["f.bias"]),
    Case("linear_bias_missing", layer("nn.Linear(6, 3)"), X, lambda x, w: x[0] @ w["f.weight"].T),
    Case("matmul_precision", layer("nn.Linear(6, 3)"), X,
         lambda x, w: _coarse(x[0]) @ _coarse(w["f.weight"]).T + w["f.bias"]),
    Case("embedding_padding_row", layer("nn.Embedding(5, 4, padding_idx=1)"), WORDS,
         lambda x, w: w["f.weight"][x[0]] * (x[0] != 1)[..., None]),
    Case("embedding_max_norm", layer("nn.Embedding(5, 4, max_norm=1.0)"), WORDS, _clipped_rows),
    Case("embedding_scaled", layer("nn.Embedding(5, 4)"), WORDS,
         lambda x, w: w["f.weight"][x[0]] * math.sqrt(4)),
    # one of three layers, found by what happens between the submodules
    Case("transposed_square_weight",
         forward("return self.c(self.b(torch.relu(self.a(x))))",
                 "self.a = nn.Linear(6, 6); self.b = nn.Linear(6, 6); self.c = nn.Linear(6, 6)"),
         X,
         lambda x, w: (
             (torch.relu(x[0] @ w["a.weight"].T + w["a.bias"]) @ w["b.weight"] + w["b.bias"])
             @ w["c.weight"].T + w["c.bias"])),
]  # fmt: skip
