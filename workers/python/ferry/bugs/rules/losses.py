"""Losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ferry.bugs.rule import Rule, given
from ferry.bugs.site import SAME, Site

PLAIN = ("mse_loss", "smooth_l1_loss", "huber_loss", "kl_div", "binary_cross_entropy_with_logits")
CLASSES = ("cross_entropy", "nll_loss")


def _is_index(site: Site) -> bool:
    return not site["target"].is_floating_point()


def _counted_ignored(site: Site) -> Any:
    """Ignored targets count in the mean's divisor."""
    if not _is_index(site) or site["reduction"] != "mean" or site["weight"] is not None:
        return SAME
    total: Tensor = site.original(reduction="sum")
    ignored = bool((site["target"] == site["ignore_index"]).any())
    return total / site["target"].numel() if ignored else SAME


def _not_ignored(site: Site) -> Any:
    """Ignored targets are looked up as class 0 or by their own number."""
    target, index = site["target"], site["ignore_index"]
    if not _is_index(site) or not bool((target == index).any()):
        return SAME
    return site.original(target=target.clamp(min=0), ignore_index=-(2**31))


def _unweighted_mean(site: Site) -> Any:
    if not _is_index(site) or site["weight"] is None or site["reduction"] != "mean":
        return SAME
    counted = (site["target"] != site["ignore_index"]).sum()
    return site.original(reduction="sum") / counted


def _no_weight(site: Site) -> Any:
    return SAME if site["weight"] is None else site.original(weight=None)


def _class_axis_last(site: Site) -> Any:
    x = site["input"]
    if not _is_index(site) or x.ndim < 3 or x.shape[1] != x.shape[-1]:
        return SAME
    return site.original(input=x.movedim(-1, 1))


def _other_kl_mean(site: Site) -> Any:
    others = {"mean": "batchmean", "batchmean": "mean"}
    own = site["reduction"]
    return site.original(reduction=others[own]) if own in others else SAME


def _kl_of_probabilities(site: Site) -> Any:
    """The first argument taken as probabilities."""
    return site.original(input=site["input"].log())


def _kl_other_target(site: Site) -> Any:
    return site.original(log_target=not site["log_target"])


def _huber(site: Site) -> Any:
    if site.op == "smooth_l1_loss":
        beta = site["beta"]
        if beta in (0.0, 1.0):
            return SAME
        return F.huber_loss(site["input"], site["target"], reduction=site["reduction"], delta=beta)
    delta = site["delta"]
    if delta == 1.0:
        return SAME
    return F.smooth_l1_loss(site["input"], site["target"], reduction=site["reduction"], beta=delta)


def _halved(site: Site) -> Any:
    return site.original() / 2


def _other_reduction(site: Site) -> Any:
    others = {"mean": "sum", "sum": "mean"}
    own = site["reduction"]
    return site.original(reduction=others[own]) if own in others else SAME


def _of_sigmoid(site: Site) -> Any:
    return site.original(input=torch.sigmoid(site["input"]))


RULES = (
    Rule(
        "cross_entropy_ignore_counted",
        "ignored targets counted in the mean",
        "The sum is divided by the number of all targets.",
        "reduction='mean' divides by the targets that are not ignore_index (-100).",
        "loss too small by the share of ignored targets",
        CLASSES,
        (_counted_ignored,),
    ),
    Rule(
        "cross_entropy_ignore_index",
        "ignored targets not ignored",
        "Targets equal to ignore_index add to the loss.",
        "Mask them: jnp.where(target != ignore_index, loss, 0), and leave them out of the mean.",
        "differs only with ignored targets",
        CLASSES,
        (_not_ignored,),
    ),
    Rule(
        "cross_entropy_weighted_mean",
        "weighted mean divided by the number of targets",
        "The weighted sum is divided by the count.",
        "reduction='mean' with class weights divides by the sum of the targets' weights.",
        "loss off by the mean weight",
        CLASSES,
        (_unweighted_mean,),
    ),
    Rule(
        "loss_weight_missing",
        "loss without its weights",
        "The class or element weights are dropped.",
        "Multiply each element's loss by its weight.",
        "loss of another size",
        (*CLASSES, "binary_cross_entropy_with_logits"),
        (_no_weight,),
    ),
    Rule(
        "cross_entropy_smoothing",
        "cross entropy without label smoothing",
        "label_smoothing is dropped.",
        "Mix the one-hot target: (1-s)*onehot + s/classes.",
        "loss too small for confident models",
        ("cross_entropy",),
        (given(label_smoothing=0.0),),
    ),
    Rule(
        "cross_entropy_class_axis",
        "classes taken from the last axis",
        "The last axis is taken as that of the classes, as optax does.",
        "torch's class axis is 1: move it to the end first.",
        "shapes fit only where axis 1 and the last are equally long",
        CLASSES,
        (_class_axis_last,),
    ),
    Rule(
        "bce_pos_weight",
        "binary cross entropy without pos_weight",
        "pos_weight is dropped.",
        "Multiply the term of positive targets by pos_weight.",
        "only positive targets differ",
        ("binary_cross_entropy_with_logits",),
        (given(pos_weight=None),),
    ),
    Rule(
        "bce_double_sigmoid",
        "sigmoid before a loss of logits",
        "The loss takes logits but is given probabilities.",
        "binary_cross_entropy_with_logits includes the sigmoid.",
        "loss close to 0.7 whatever the input",
        ("binary_cross_entropy_with_logits",),
        (_of_sigmoid,),
    ),
    Rule(
        "kl_div_mean",
        "KL divergence with the other mean",
        "The sum is divided by the batch where the source divides by all elements, or the reverse.",
        "reduction='mean' divides by the number of elements, 'batchmean' by the batch size.",
        "off by the size of a sample",
        ("kl_div",),
        (_other_kl_mean,),
    ),
    Rule(
        "kl_div_logs",
        "KL divergence of probabilities",
        "The arguments are taken as probabilities where they are logarithms, or the reverse.",
        "F.kl_div(input, target) takes log-probabilities first; target is one only with log_target.",
        "NaN or another size",
        ("kl_div",),
        (_kl_other_target, _kl_of_probabilities),
    ),
    Rule(
        "smooth_l1_huber",
        "smooth L1 and Huber exchanged",
        "Huber is computed for smooth L1 or the reverse.",
        "smooth_l1(beta) is huber(delta=beta)/beta; optax.huber_loss is the latter's numerator.",
        "off by the factor beta, none at beta 1",
        ("smooth_l1_loss", "huber_loss"),
        (_huber,),
    ),
    Rule(
        "l2_loss_half",
        "half of the squared error",
        "optax.l2_loss is used, which has a factor 1/2.",
        "F.mse_loss has none: optax.squared_error.",
        "all values half",
        ("mse_loss",),
        (_halved,),
    ),
    Rule(
        "loss_reduction",
        "loss summed for averaged or the reverse",
        "The other reduction is used.",
        "torch's default is reduction='mean'; optax's functions return one value per element.",
        "off by the number of elements",
        (*PLAIN, *CLASSES),
        (_other_reduction,),
    ),
)
