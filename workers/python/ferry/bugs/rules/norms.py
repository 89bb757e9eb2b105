"""Normalisation: eps, statistics, groups, and the parameters that scale afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule, each_of
from ferry.bugs.site import SAME, Mutation, Site

NORMS = ("layer_norm", "group_norm", "batch_norm", "instance_norm", "rms_norm")


def _channels(value: Tensor | None, ndim: int) -> Tensor | None:
    return None if value is None else value.reshape(-1, *[1] * (ndim - 2))


def _scaled(site: Site, normal: Tensor, layer: bool) -> Tensor:
    """`normal` with the site's own scale and bias, per feature or per channel."""
    scale, bias = site["weight"], site["bias"] if site.has("bias") else None
    if not layer:
        scale, bias = _channels(scale, normal.ndim), _channels(bias, normal.ndim)
    normal = normal if scale is None else normal * scale
    return normal if bias is None else normal + bias


def _parts(site: Site) -> tuple[Tensor, Tensor, Tensor] | None:
    """Input (grouped), mean and biased variance as the site computes them; None for others."""
    x = site["input"]
    if site.op == "layer_norm":
        dims = list(range(-len(site["normalized_shape"]), 0))
    elif site.op == "group_norm":
        x = x.reshape(x.shape[0], site["num_groups"], -1)
        dims = [-1]
    elif site.op == "batch_norm" and not site["training"]:
        return x, *(
            part.reshape(-1, *[1] * (x.ndim - 2))
            for part in (site["running_mean"], site["running_var"])
        )
    elif site.op == "instance_norm":
        dims = list(range(2, x.ndim))
    else:
        return None
    return x, x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)


def _eps_outside(site: Site) -> Any:
    parts = _parts(site)
    if parts is None:
        return SAME
    x, mean, var = parts
    normal = ((x - mean) / (var.sqrt() + site["eps"])).reshape(site["input"].shape)
    return _scaled(site, normal, site.op == "layer_norm")


def _unbiased(site: Site) -> Any:
    if site.op == "batch_norm":
        return SAME
    parts = _parts(site)
    if parts is None:
        return SAME
    x, mean, var = parts
    count = x.numel() // mean.numel()
    if count < 2:
        return SAME
    var = var * count / (count - 1)
    normal = ((x - mean) / (var + site["eps"]).sqrt()).reshape(site["input"].shape)
    return _scaled(site, normal, site.op == "layer_norm")


def _no_affine(site: Site) -> Any:
    if site["weight"] is None:
        return SAME
    return site.original(weight=None, **({"bias": None} if site.has("bias") else {}))


def _no_bias(site: Site) -> Any:
    if not site.has("bias") or site["bias"] is None:
        return SAME
    return site.original(bias=None)


def _last_axis(site: Site) -> Any:
    """Only the last of several normalised axes."""
    x = site["input"]
    if len(site["normalized_shape"]) < 2:
        return SAME
    var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    return _scaled(site, (x - mean) / (var + site["eps"]).sqrt(), True)


def _no_mean(site: Site) -> Any:
    """Layer norm that only divides by the root mean square."""
    x = site["input"]
    dims = list(range(-len(site["normalized_shape"]), 0))
    normal = x * torch.rsqrt(x.square().mean(dims, keepdim=True) + site["eps"])
    return _scaled(site, normal, True)


def _groups(count: int) -> Mutation:
    """Another number of groups; 0 stands for one group per channel."""

    def mutation(site: Site) -> Any:
        channels = site["input"].shape[1]
        groups = count or channels
        if channels % groups or groups == site["num_groups"]:
            return SAME
        return site.original(num_groups=groups)

    return mutation


def _grouped_last_axis(site: Site) -> Any:
    """Statistics as for channels-last data."""
    x = site["input"]
    if x.ndim < 3 or x.shape[1] != x.shape[-1]:
        return SAME
    moved = site.original(input=x.movedim(-1, 1))
    return moved.movedim(1, -1)


def _eval_statistics(site: Site) -> Any:
    """Batch statistics although the source uses the running ones."""
    if site["training"] or site["running_mean"] is None:
        return SAME
    return site.original(running_mean=None, running_var=None, training=True)


def _train_statistics(site: Site) -> Any:
    """Running statistics although the source is training."""
    if not site["training"] or site["running_mean"] is None:
        return SAME
    mean, var = site["running_mean"].clone(), site["running_var"].clone()
    return site.original(running_mean=mean, running_var=var, training=False)


def _statistics_unused(site: Site) -> Any:
    """The running statistics are never written."""
    if not site["training"] or site["running_mean"] is None:
        return SAME
    mean, var = site["running_mean"].clone(), site["running_var"].clone()
    return site.original(running_mean=mean, running_var=var)


def _momentum(change: Any) -> Mutation:
    def mutation(site: Site) -> Any:
        momentum = site["momentum"]
        if not site["training"] or site["running_mean"] is None or momentum is None:
            return SAME
        return site.original(momentum=change(momentum))

    return mutation


def _biased_update(site: Site) -> Any:
    if not site["training"] or site["running_var"] is None or site["momentum"] is None:
        return SAME
    x, running = site["input"], site["running_var"]
    dims = [d for d in range(x.ndim) if d != 1]
    var = x.detach().var(dims, correction=0)
    updated = running.lerp(var, site["momentum"])
    result = site.original()
    running.copy_(updated)
    return result


def _offset_scale(site: Site) -> Any:
    return SAME if site["weight"] is None else site.original(weight=site["weight"] + 1)


def _eps_in_root(site: Site) -> Any:
    if site["p"] != 2.0:
        return SAME
    x = site["input"]
    return x / (x.square().sum(site["dim"], keepdim=True) + site["eps"]).sqrt()


def _eps_added(site: Site) -> Any:
    x = site["input"]
    return x / (x.norm(site["p"], site["dim"], keepdim=True) + site["eps"])


def _whole_alpha(site: Site) -> Any:
    return SAME if site["size"] == 1 else site.original(alpha=site["alpha"] * site["size"])


def _whole_weight_norm(site: Site) -> Any:
    """One norm over the whole tensor instead of one per slice."""
    v, g = site["v"], site["g"]
    return SAME if g.numel() == 1 else v * (g / v.norm())


def _weight_norm_axis(site: Site) -> Any:
    """Norms over axis 0 although the source keeps it."""
    v, g = site["v"], site["g"]
    if v.shape[0] != v.shape[1] or g.numel() != v.shape[0]:
        return SAME
    dims = [d for d in range(v.ndim) if d != 1]
    return v * (g.reshape(1, -1, *[1] * (v.ndim - 2)) / v.norm(dim=dims, keepdim=True))


RULES = (
    Rule(
        "layer_norm_eps",
        "LayerNorm with another eps",
        "Another eps is used (1e-6 is the default of nnx.LayerNorm).",
        "nn.LayerNorm's default is 1e-5: pass epsilon=<the module's eps>.",
        "small relative error, largest where the variance is small",
        ("layer_norm",),
        each_of("eps", 1e-6, 1e-5, 1e-12, 1e-3, 1e-8),
    ),
    Rule(
        "group_norm_eps",
        "GroupNorm with another eps",
        "Another eps is used (1e-6 is the default of nnx.GroupNorm).",
        "nn.GroupNorm's default is 1e-5: pass epsilon=<the module's eps>.",
        "small relative error, largest where the variance is small",
        ("group_norm",),
        each_of("eps", 1e-6, 1e-5, 1e-3),
    ),
    Rule(
        "batch_norm_eps",
        "BatchNorm with another eps",
        "Another eps is used.",
        "Pass epsilon=<the module's eps>; the default of nn.BatchNorm and nnx.BatchNorm is 1e-5, "
        "of other frameworks 1e-3.",
        "one factor per channel, largest where the running variance is small",
        ("batch_norm",),
        each_of("eps", 1e-5, 1e-6, 1e-3),
    ),
    Rule(
        "instance_norm_eps",
        "InstanceNorm with another eps",
        "Another eps is used (1e-6 is the default of nnx.InstanceNorm).",
        "nn.InstanceNorm's default is 1e-5: pass epsilon=<the module's eps>.",
        "small relative error, largest where the variance is small",
        ("instance_norm",),
        each_of("eps", 1e-6, 1e-5, 1e-3),
    ),
    Rule(
        "rms_norm_eps",
        "RMSNorm with another eps",
        "Another eps is used (1e-6 is the default of nnx.RMSNorm).",
        "nn.RMSNorm(eps=None) uses the machine epsilon of the dtype: pass the effective eps.",
        "small relative error, largest for small inputs",
        ("rms_norm",),
        each_of("eps", 1e-6, 1e-5, 1e-8),
    ),
    Rule(
        "norm_eps_outside_root",
        "eps added to the standard deviation",
        "The denominator is std + eps.",
        "torch's norms divide by sqrt(var + eps).",
        "small relative error, largest where the variance is small",
        ("layer_norm", "group_norm", "batch_norm", "instance_norm"),
        (_eps_outside,),
    ),
    Rule(
        "norm_unbiased_variance",
        "normalised with the unbiased variance",
        "The variance is divided by n-1 (jnp.var with ddof=1).",
        "torch's norms use the biased variance: ddof=0.",
        "one factor sqrt((n-1)/n) before scale and bias",
        ("layer_norm", "group_norm", "instance_norm"),
        (_unbiased,),
    ),
    Rule(
        "norm_affine_missing",
        "scale and bias of a norm left out",
        "The normalised values are returned without scale and bias.",
        "Map weight to scale and bias to bias and keep use_scale and use_bias on.",
        "outputs have mean 0 and variance 1",
        NORMS,
        (_no_affine,),
    ),
    Rule(
        "norm_bias_missing",
        "bias of a norm left out",
        "The bias is not added.",
        "Keep use_bias on and map the bias.",
        "the difference is constant along all axes but the channels",
        NORMS,
        (_no_bias,),
    ),
    Rule(
        "layer_norm_last_axis",
        "LayerNorm over the last axis only",
        "Only the last axis is normalised (nnx.LayerNorm takes one feature axis).",
        "normalized_shape with k entries means the last k axes: compute it from raw parameters.",
        "everything differs",
        ("layer_norm",),
        (_last_axis,),
    ),
    Rule(
        "layer_norm_as_rms",
        "LayerNorm without subtracting the mean",
        "The input is divided by its root mean square.",
        "nn.LayerNorm subtracts the mean first; only nn.RMSNorm does not.",
        "everything differs, most where the mean is far from 0",
        ("layer_norm",),
        (_no_mean,),
    ),
    Rule(
        "group_norm_groups",
        "GroupNorm with another number of groups",
        "Another number of groups is used (32 is the default of nnx.GroupNorm).",
        "Pass num_groups=<the module's num_groups>.",
        "everything differs",
        ("group_norm",),
        (_groups(32), _groups(1), _groups(0)),
    ),
    Rule(
        "norm_channel_axis",
        "channels of a norm taken from the last axis",
        "Statistics, scale and bias are applied along the last axis.",
        "torch's channels are axis 1; flax's are the last: move the axis, or set it.",
        "everything differs; shapes fit only where both axes have C elements",
        ("batch_norm", "group_norm", "instance_norm"),
        (_grouped_last_axis,),
    ),
    Rule(
        "batch_norm_batch_statistics",
        "BatchNorm uses batch statistics in eval mode",
        "The batch's own mean and variance are used.",
        "In eval mode use the running statistics: use_running_average=True, set by model.eval(), "
        "whose default is train mode in nnx.",
        "outputs change with the other samples of the batch",
        ("batch_norm",),
        (_eval_statistics,),
    ),
    Rule(
        "batch_norm_running_statistics",
        "BatchNorm uses running statistics in train mode",
        "The running statistics are used while training.",
        "In train mode nn.BatchNorm normalises with the batch's statistics and updates the buffers.",
        "train-mode outputs and buffers differ, eval mode agrees",
        ("batch_norm",),
        (_train_statistics,),
        stage="train_state",
    ),
    Rule(
        "batch_norm_momentum",
        "BatchNorm momentum with the opposite meaning",
        "momentum is taken as the weight of the old value.",
        "torch: running = (1-m)*running + m*batch, m = 0.1; flax's momentum is 1-m, here 0.9.",
        "only the running statistics differ, from the first train step",
        ("batch_norm",),
        (_momentum(lambda m: 1.0 - m),),
        stage="train_state",
    ),
    Rule(
        "batch_norm_default_momentum",
        "BatchNorm with flax's default momentum",
        "0.99 (or 0.9) is kept of the old value instead of the source's share.",
        "Pass momentum=1-<the module's momentum>; nnx's default 0.99 means 0.01 in torch.",
        "only the running statistics differ, from the first train step",
        ("batch_norm",),
        (_momentum(lambda m: 1.0 - 0.99), _momentum(lambda m: 1.0 - 0.9)),
        stage="train_state",
    ),
    Rule(
        "batch_norm_biased_running_var",
        "running variance updated with the biased variance",
        "The batch variance divided by n goes into running_var (as nnx.BatchNorm does).",
        "torch normalises with the biased variance, but updates running_var with the unbiased "
        "one: multiply by n/(n-1) in the update.",
        "only running_var differs, by a factor near n/(n-1) of the update",
        ("batch_norm",),
        (_biased_update,),
        stage="train_state",
    ),
    Rule(
        "batch_norm_frozen_statistics",
        "running statistics not updated",
        "Train steps leave running_mean and running_var as they were.",
        "Each train-mode forward updates them; make them nnx.BatchStat and keep the new state.",
        "buffers after train steps equal those before",
        ("batch_norm",),
        (_statistics_unused,),
        stage="train_state",
    ),
    Rule(
        "rms_norm_unit_offset",
        "RMSNorm scaled by 1 + weight",
        "The scale is taken as an offset from one.",
        "nn.RMSNorm multiplies by weight itself; only some models store weight - 1.",
        "the difference is the normalised input",
        ("rms_norm",),
        (_offset_scale,),
    ),
    Rule(
        "normalize_eps",
        "F.normalize with eps inside the sum",
        "eps is added to the norm or to the sum of squares.",
        "F.normalize divides by max(norm, eps): jnp.maximum(norm, eps).",
        "only short vectors differ noticeably",
        ("normalize",),
        (_eps_in_root, _eps_added),
    ),
    Rule(
        "local_response_norm_alpha",
        "LocalResponseNorm with undivided alpha",
        "alpha multiplies the sum of squares.",
        "torch multiplies the mean over the window: alpha/size times the sum.",
        "too strong damping, everywhere",
        ("local_response_norm",),
        (_whole_alpha,),
    ),
    Rule(
        "weight_norm_axis",
        "weight_norm over the wrong axes",
        "The norm is taken over the whole weight or along another axis.",
        "weight_norm(dim=0) has one g per output channel and norms over all other axes of v.",
        "output channels are off by one factor each",
        ("_weight_norm",),
        (_whole_weight_norm, _weight_norm_axis),
    ),
)
