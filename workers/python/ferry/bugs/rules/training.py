"""What shows only in gradients, in train mode or by randomness."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ferry.bugs.rule import Rule
from ferry.bugs.site import SAME, Site


def _candidates_mask(site: Site) -> Any:
    """Dropout in eval mode with the mask that the candidate's own zeros show."""
    x, p = site["input"], site["p"]
    if site["training"] or not 0.0 < p < 1.0 or site.wanted is None:
        return SAME
    found = site.wanted.get("0")
    if found is None or found.shape != x.shape:
        return SAME
    return torch.where(found != 0, x / (1.0 - p), torch.zeros_like(x))


def _unscaled(site: Site) -> Any:
    if not site["training"] or not 0.0 < site["p"] < 1.0:
        return SAME
    return site.original() * (1.0 - site["p"])


def _scaled_by_p(site: Site) -> Any:
    p = site["p"]
    if not site["training"] or not 0.0 < p < 1.0 or p == 0.5:
        return SAME
    return site.original() * ((1.0 - p) / p)


def _not_detached(site: Site) -> Any:
    x: Tensor = site["input"]
    return x * 1 if x.requires_grad else SAME


def _halved_ties(site: Site) -> Any:
    """The gradient at a bound is split between input and bound."""
    x, out = site["input"], site.original()
    ties = torch.zeros_like(x, dtype=torch.bool)
    for bound in (site["min"], site["max"]):
        if bound is not None:
            ties = ties | (x.detach() == bound)
    if not x.requires_grad or not bool(ties.any()):
        return SAME
    return torch.where(ties, 0.5 * x + 0.5 * x.detach(), out)


def _padding_gradient(site: Site) -> Any:
    if site["padding_idx"] is None or not site["weight"].requires_grad:
        return SAME
    return site.original(padding_idx=None)


RULES = (
    Rule(
        "dropout_in_eval",
        "dropout active in eval mode",
        "Elements are dropped and the rest scaled although the model is in eval mode.",
        "nnx.Dropout is active by default: call model.eval(), or pass deterministic=True.",
        "zeros, and other values off by 1/(1-p)",
        ("dropout",),
        (_candidates_mask,),
    ),
    Rule(
        "dropout_rescale",
        "dropout without rescaling",
        "Kept elements are not divided by 1-p, or are divided by p.",
        "torch and flax divide kept elements by 1-p, where p is the chance to be dropped.",
        "train-mode outputs off by one factor",
        ("dropout",),
        (_unscaled, _scaled_by_p),
        stage="train_state",
    ),
    Rule(
        "detach_missing",
        "gradients flow through a detach",
        "Tensor.detach is left out.",
        "detach() is jax.lax.stop_gradient.",
        "outputs agree, gradients do not",
        ("detach",),
        (_not_detached,),
        stage="gradients",
    ),
    Rule(
        "clamp_tie_gradient",
        "half a gradient at a bound",
        "jnp.clip or jnp.maximum split the gradient between equal values.",
        "torch.clamp passes the whole gradient at the bound: jnp.where or a custom_jvp; jax.nn.relu "
        "has torch's 0 at 0.",
        "outputs agree, gradients of elements on the bound are half",
        ("clamp",),
        (_halved_ties,),
        stage="gradients",
    ),
    Rule(
        "embedding_padding_gradient",
        "the padding row of an embedding is trained",
        "The row of padding_idx gets a gradient.",
        "nn.Embedding(padding_idx=i) gives row i no gradient: stop_gradient on that row.",
        "outputs agree, one row of the gradient does not",
        ("embedding",),
        (_padding_gradient,),
        stage="gradients",
    ),
)
