import torch

from bug_cases import Case, forward, layer

X = "(torch.randn(5, 6),)"
DETACHED = forward("return self.a(x) * self.b(x).detach()",
                   "self.a = nn.Linear(6, 3); self.b = nn.Linear(6, 3)")  # fmt: skip


def _dropped(x, w):
    keep = torch.rand(5, 6, generator=torch.Generator().manual_seed(1)) > 0.4
    return x[0] / 0.6 * keep


def _unscaled(x, w):
    """The source's own masks, without the division."""
    return {
        f"out/{n}/0": x[f"x{n}/0"] * x[name].double()
        for n, name in enumerate(sorted(key for key in x if key.startswith("rng/")))
    }


def _flowing(x, w):
    own, cotangent = x["x0/0"], x["ct0/0"]
    a = own @ w["a.weight"].T + w["a.bias"]
    b = own @ w["b.weight"].T + w["b.bias"]
    to_a, to_b = cotangent * b, cotangent * a
    return {
        "out/0": a * b,
        "grad/param/a.weight": to_a.T @ own,
        "grad/param/a.bias": to_a.sum(0),
        "grad/param/b.weight": to_b.T @ own,
        "grad/param/b.bias": to_b.sum(0),
        "grad/input/0": to_a @ w["a.weight"] + to_b @ w["b.weight"],
    }


def _half_at_bound(x, w):
    own = x["x0/0"]
    share = (own > 0).double() + 0.5 * (own == 0).double()
    return {"out/0": torch.where(own > 0, own, own * 0), "grad/input/0": x["ct0/0"] * share}


def _trained_row(x, w):
    words = x["x0/0"]
    found = torch.zeros_like(w["f.weight"])
    for row in range(words.shape[0]):
        for column in range(words.shape[1]):
            found[words[row, column]] += x["ct0/0"][row, column]
    return {"out/0": w["f.weight"][words], "grad/param/f.weight": found}


CASES = [
    Case("dropout_in_eval", layer("nn.Dropout(0.4)"), X, _dropped),
    Case("dropout_rescale", layer("nn.Dropout(0.4)"), X, _unscaled, "train_state"),
    Case("detach_missing", DETACHED, X, _flowing, "gradients"),
    Case("clamp_tie_gradient", forward("return x.clamp(min=0)"),
         "(torch.tensor([[-1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]),)", _half_at_bound, "gradients"),
    Case("embedding_padding_gradient", layer("nn.Embedding(5, 4, padding_idx=1)"),
         "(torch.tensor([[0, 1, 2], [3, 1, 4]]),)", _trained_row, "gradients"),
]  # fmt: skip
