import torch
from formulas import channels, normal

from bug_cases import Case, forward, layer

X = "(torch.randn(4, 6, 5, 6) + torch.linspace(0, 2, 6),)"
V = "(torch.randn(8, 6),)"
SHAPED = "(torch.randn(4, 3, 6),)"
BN = layer("nn.BatchNorm2d(6)")


def _affine(normalised, w, x):
    return normalised * channels(w["f.weight"], x) + channels(w["f.bias"], x)


def _layer(eps, ddof=0):
    return lambda x, w: normal(x[0], [-1], eps, ddof) * w["f.weight"] + w["f.bias"]


def _grouped(groups, eps):
    def wrong(x, w):
        x = x[0]
        parts = normal(x.reshape(len(x), groups, -1), [-1], eps)
        return _affine(parts.reshape(x.shape), w, x)

    return wrong


def _outside(x, w):
    centred = x[0] - x[0].mean(-1, keepdim=True)
    std = (centred**2).mean(-1, keepdim=True).sqrt()
    return centred / (std + 1e-5) * w["f.weight"] + w["f.bias"]


def _running(x, w, eps):
    mean, var = channels(w["f.running_mean"], x), channels(w["f.running_var"], x)
    return _affine((x - mean) / (var + eps).sqrt(), w, x)


def _last_channels(x, w):
    x = x[0].movedim(-1, 1)
    return _affine(normal(x.reshape(len(x), 2, -1), [-1], 1e-5).reshape(x.shape), w, x).movedim(
        1, -1
    )


def _statistics(keep, unbiased=True, outputs=True, frozen=False):
    """Two train steps of BatchNorm on the inputs 0 and 1; `keep` is the share of the old value."""

    def wrong(x, w):
        mean, var, found = w["f.running_mean"], w["f.running_var"], {}
        for step in range(2):
            own = x[f"x{step}/0"]
            count = own.numel() // own.shape[1]
            batch = own.movedim(1, 0).flatten(1)
            own_mean = batch.sum(1) / count
            own_var = ((batch - own_mean[:, None]) ** 2).sum(1) / (count - unbiased)
            if not frozen:
                mean = keep * mean + (1 - keep) * own_mean
                var = keep * var + (1 - keep) * own_var
            if outputs:
                found[f"out/{step}/0"] = _affine(normal(own, [0, 2, 3], 1e-5), w, own)
            else:
                found[f"out/{step}/0"] = _running(own, w, 1e-5)
        return {**found, "state/f.running_mean": mean, "state/f.running_var": var}

    return wrong


def _rms(eps, offset=0.0):
    def wrong(x, w):
        root = ((x[0] ** 2).sum(-1, keepdim=True) / x[0].shape[-1] + eps).sqrt()
        return x[0] / root * (w["f.weight"] + offset)

    return wrong


def _response(x, w):
    x = x[0]
    padded = torch.zeros(4, 8, 5, 6, dtype=x.dtype)
    padded[:, 1:7] = x
    total = sum(padded[:, i : i + 6] ** 2 for i in range(3))
    return x / (1 + 0.5 * total) ** 0.75


def _weight_norm(x, w):
    g, v = w["f.parametrizations.weight.original0"], w["f.parametrizations.weight.original1"]
    return x[0] @ (g * v / (v**2).sum().sqrt()).T + w["f.bias"]


def _weight_norm_columns(x, w):
    g, v = w["f.parametrizations.weight.original0"], w["f.parametrizations.weight.original1"]
    return x[0] @ (g.T * v / (v**2).sum(0, keepdim=True).sqrt()).T + w["f.bias"]


NORMED = "nn.utils.parametrizations.weight_norm(nn.Linear(6, {}))"
CASES = [
    Case("layer_norm_eps", layer("nn.LayerNorm(6)"), V, _layer(1e-6)),
    Case("layer_norm_eps", layer("nn.LayerNorm(6, eps=1e-6)"), V, _layer(1e-5)),
    Case("group_norm_eps", layer("nn.GroupNorm(3, 6)"), X, _grouped(3, 1e-6)),
    Case("batch_norm_eps", BN, X, lambda x, w: _running(x[0], w, 1e-3)),
    Case("instance_norm_eps", layer("nn.InstanceNorm2d(6)"), X,
         lambda x, w: normal(x[0], [2, 3], 1e-6)),
    Case("rms_norm_eps", layer("nn.RMSNorm(6)"), V, _rms(1e-6)),
    Case("norm_eps_outside_root", layer("nn.LayerNorm(6)"), V, _outside),
    Case("norm_unbiased_variance", layer("nn.LayerNorm(6)"), V, _layer(1e-5, 1)),
    Case("norm_affine_missing", layer("nn.LayerNorm(6)"), V,
         lambda x, w: normal(x[0], [-1], 1e-5)),
    Case("norm_bias_missing", layer("nn.GroupNorm(3, 6)"), X,
         lambda x, w: _grouped(3, 1e-5)(x, {**w, "f.bias": w["f.bias"] * 0})),
    Case("layer_norm_last_axis", layer("nn.LayerNorm((3, 6))"), SHAPED, _layer(1e-5)),
    Case("layer_norm_as_rms", layer("nn.LayerNorm(6)"), V,
         lambda x, w: _rms(1e-5)(x, w) + w["f.bias"]),
    Case("group_norm_groups", layer("nn.GroupNorm(3, 6)"), X, _grouped(1, 1e-5)),
    Case("norm_channel_axis", layer("nn.GroupNorm(2, 6)"), X, _last_channels),
    Case("batch_norm_batch_statistics", BN, X,
         lambda x, w: _affine(normal(x[0], [0, 2, 3], 1e-5), w, x[0])),
    Case("batch_norm_running_statistics", BN, X, _statistics(0.9, outputs=False, frozen=True),
         "train_state"),
    Case("batch_norm_momentum", BN, X, _statistics(0.1), "train_state"),
    Case("batch_norm_default_momentum", BN, X, _statistics(0.99), "train_state"),
    Case("batch_norm_biased_running_var", BN, X, _statistics(0.9, False), "train_state"),
    Case("batch_norm_frozen_statistics", BN, X, _statistics(0.9, frozen=True), "train_state"),
    Case("rms_norm_unit_offset", layer("nn.RMSNorm(6, eps=1e-5)"), V, _rms(1e-5, 1.0)),
    Case("normalize_eps", forward("return F.normalize(x, dim=-1, eps=1e-3)"), V,
         lambda x, w: x[0] / ((x[0] ** 2).sum(-1, keepdim=True) + 1e-3).sqrt()),
    Case("local_response_norm_alpha", layer("nn.LocalResponseNorm(3, alpha=0.5)"), X, _response),
    Case("weight_norm_axis", layer(NORMED.format(3)), V, _weight_norm),
    Case("weight_norm_axis", layer(NORMED.format(6)), V, _weight_norm_columns),
]  # fmt: skip
