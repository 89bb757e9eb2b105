import torch
from formulas import sigmoid, softmax

from bug_cases import Case, forward

CLASSES = "(torch.randn(6, 4),)"
TARGETS = "self.register_buffer('t', torch.tensor([0, 3, -100, 2, 1, 2]))"
SQUARE = "(torch.randn(6, 4, 4), torch.randint(0, 4, (6, 4)))"
PAIR = "(torch.randn(6, 4), torch.randn(6, 4))"
TWO = "(torch.randn(6, 4), torch.rand(6, 4))"
CHANCES = "(torch.randn(6, 4).log_softmax(-1), torch.rand(6, 4).softmax(-1))"
WEIGHTS = TARGETS + "; self.register_buffer('c', torch.tensor([1.0, 2.0, 3.0, 0.5]))"


def _loss(call):
    return forward(f"return {call}", "pass", "x, y")


def _classes(more="", init=TARGETS):
    return forward(f"return F.cross_entropy(x, self.t{more})", init)


def _picked(x, target):
    """-log softmax at the target, with targets below 0 read as 0."""
    logs = softmax(x, -1).log()
    return -logs[torch.arange(len(x)), torch.where(target < 0, 0 * target, target)]


def _kept(x, w):
    return _picked(x[0], w["t"]) * (w["t"] >= 0)


def _weighted(x, w):
    target = torch.where(w["t"] < 0, 0 * w["t"], w["t"])
    return (_kept(x, w) * w["c"][target]).sum() / 5


def _last(x, w):
    rows = softmax(x[0], -1).log().reshape(24, 4)
    return -rows[torch.arange(24), x[1].reshape(-1)].mean()


def _bce(x, y, positive=1.0):
    return -(positive * y * sigmoid(x).log() + (1 - y) * (1 - sigmoid(x)).log())


def _kl(x, y):
    return y * (y.log() - x)


def _huber(x, delta):
    d = (x[0] - x[1]).abs()
    return torch.where(d < delta, d * d / 2, delta * (d - delta / 2))


CROSS = _classes()
CASES = [
    Case("cross_entropy_ignore_counted", CROSS, CLASSES, lambda x, w: _kept(x, w).sum() / 6),
    Case("cross_entropy_ignore_index", CROSS, CLASSES, lambda x, w: _picked(x[0], w["t"]).mean()),
    Case("cross_entropy_weighted_mean", _classes(", self.c", WEIGHTS), CLASSES,
         _weighted),
    Case("loss_weight_missing", _classes(", self.c", WEIGHTS), CLASSES,
         lambda x, w: _kept(x, w).sum() / 5),
    Case("cross_entropy_smoothing", _classes(", label_smoothing=0.2"), CLASSES,
         lambda x, w: _kept(x, w).sum() / 5),
    Case("cross_entropy_class_axis", _loss("F.cross_entropy(x, y)"), SQUARE, _last),
    Case("bce_pos_weight",
         _loss("F.binary_cross_entropy_with_logits(x, y, pos_weight=torch.tensor(3.0))"), TWO,
         lambda x, w: _bce(*x).mean()),
    Case("bce_double_sigmoid", _loss("F.binary_cross_entropy_with_logits(x, y)"), TWO,
         lambda x, w: _bce(sigmoid(x[0]), x[1]).mean()),
    Case("kl_div_mean", _loss("F.kl_div(x, y, reduction='batchmean')"), CHANCES,
         lambda x, w: _kl(*x).sum() / 24),
    Case("kl_div_logs", _loss("F.kl_div(x, y, reduction='batchmean')"), CHANCES,
         lambda x, w: (torch.exp(x[1]) * (x[1] - x[0])).sum() / 6),
    Case("smooth_l1_huber", _loss("F.smooth_l1_loss(x, y, beta=0.5)"), PAIR,
         lambda x, w: _huber(x, 0.5).mean()),
    Case("smooth_l1_huber", _loss("F.huber_loss(x, y, delta=0.5)"), PAIR,
         lambda x, w: _huber(x, 0.5).mean() / 0.5),
    Case("l2_loss_half", _loss("F.mse_loss(x, y)"), PAIR, "optax.l2_loss(x[0], x[1]).mean()"),
    Case("loss_reduction", _loss("F.mse_loss(x, y)"), PAIR,
         lambda x, w: ((x[0] - x[1]) ** 2).sum()),
]  # fmt: skip
