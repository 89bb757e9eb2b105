"""Statistics, orders and integer arithmetic."""

from __future__ import annotations

from typing import Any

import torch

from ferry.bugs.rule import Rule, given
from ferry.bugs.site import SAME, Site

DEVIATIONS = ("std", "var", "std_mean", "var_mean")


def _other_correction(site: Site) -> Any:
    """ddof 0 for 1 and 1 for 0, in whichever of torch's three spellings."""
    if isinstance(site["dim"], bool):  # std(unbiased)
        return site.original(dim=not site["dim"])
    for name in ("unbiased", "correction"):
        if site[name] is not None:
            return site.original(**{name: type(site[name])(not site[name])})
    return site.original(correction=0)


def _mean_of_middles(site: Site) -> Any:
    x, dim = site["input"], site["dim"]
    size = x.numel() if dim is None else x.shape[dim]
    if size % 2 or size == 0:
        return SAME
    own = x.flatten() if dim is None else x
    middle = torch.quantile(own, 0.5, dim=0 if dim is None else dim, keepdim=bool(site["keepdim"]))
    return middle if dim is None else torch.return_types.median((middle, site.original()[1]))


def _space_as_last(site: Site) -> Any:
    """The two axes before the last, as for channels-last data."""
    x, dim = site["input"], site["dim"]
    if x.ndim != 4 or not isinstance(dim, tuple | list):
        return SAME
    if sorted(d % 4 for d in dim) != [2, 3]:
        return SAME
    return site.original(dim=(1, 2))


def _mean_for_sum(site: Site) -> Any:
    return site["input"].mean() if site["dim"] is None else _along(site, torch.mean)


def _sum_for_mean(site: Site) -> Any:
    return site["input"].sum() if site["dim"] is None else _along(site, torch.sum)


def _along(site: Site, function: Any) -> Any:
    if not site["input"].is_floating_point():
        return SAME
    return function(site["input"], site["dim"], keepdim=bool(site["keepdim"]))


def _other_order(site: Site) -> Any:
    return site.original(descending=not site["descending"])


def _other_remainder(site: Site) -> Any:
    function = torch.fmod if site.op == "remainder" else torch.remainder
    return function(site["input"], site["other"])


def _other_rounding(site: Site) -> Any:
    modes = {"floor": "trunc", "trunc": "floor"}
    if site.op == "floor_divide":
        return torch.div(site["input"], site["other"], rounding_mode="trunc")
    mode = site["rounding_mode"]
    return site.original(rounding_mode=modes[mode]) if mode in modes else SAME


RULES = (
    Rule(
        "std_ddof",
        "std or var with the other ddof",
        "ddof 0 is used, the default of jnp.std and jnp.var (or 1 where the source asks for 0).",
        "torch.std and torch.var are unbiased by default: ddof=1; correction=0 is ddof=0.",
        "one factor sqrt((n-1)/n)",
        DEVIATIONS,
        (_other_correction,),
    ),
    Rule(
        "median_mean",
        "median as the mean of the middles",
        "jnp.median is used, which averages the two middle values.",
        "torch.median takes the lower one: index (n-1)//2 of the sorted values.",
        "differs only for even sizes",
        ("median",),
        (_mean_of_middles,),
    ),
    Rule(
        "spatial_axes",
        "spatial reduction over the axes of channels-last data",
        "Axes 1 and 2 are reduced.",
        "The source's axes 2 and 3 are H and W of (N, C, H, W).",
        "another shape unless C equals W",
        ("mean", "sum"),
        (_space_as_last,),
    ),
    Rule(
        "sum_for_mean",
        "sum and mean exchanged",
        "The sum is taken for the mean or the reverse.",
        "Keep the source's reduction.",
        "all values off by the number of elements",
        ("mean", "sum"),
        (
            lambda site: _mean_for_sum(site) if site.op == "sum" else SAME,
            lambda site: _sum_for_mean(site) if site.op == "mean" else SAME,
        ),
    ),
    Rule(
        "sort_order",
        "sort in the other direction",
        "The order is ascending where the source wants descending, or the reverse.",
        "jnp.sort is ascending: descending=True is -jnp.sort(-x), or its descending argument.",
        "the same numbers in the reverse order",
        ("sort",),
        (_other_order,),
    ),
    Rule(
        "topk_smallest",
        "topk takes the other end",
        "The largest values are taken where the source wants the smallest, or the reverse.",
        "jax.lax.top_k takes the largest along the last axis; largest=False needs -x.",
        "other values",
        ("topk",),
        (given(largest=True), given(largest=False)),
    ),
    Rule(
        "remainder_sign",
        "remainder with the other sign",
        "The remainder takes the sign of the dividend where the source's takes the divisor's, or the "
        "reverse.",
        "% and torch.remainder are jnp.remainder; torch.fmod is jnp.fmod.",
        "only where the signs differ",
        ("remainder", "fmod"),
        (_other_remainder,),
    ),
    Rule(
        "division_rounding",
        "integer division rounded the other way",
        "Quotients are truncated where the source floors, or the reverse.",
        "// and rounding_mode='floor' are jnp.floor_divide; 'trunc' is jnp.trunc of the quotient.",
        "negative quotients off by one",
        ("div", "floor_divide"),
        (_other_rounding,),
    ),
    Rule(
        "pairwise_distance_eps",
        "pairwise distance without its eps",
        "The plain norm of the difference is taken.",
        "F.pairwise_distance adds eps = 1e-6 to each difference before the norm.",
        "relative error about 1e-6",
        ("pairwise_distance",),
        (given(eps=0.0),),
    ),
)
