"""Activations: approximations, dropped parameters, wrong axes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ferry.bugs.rule import Rule, each_of, given
from ferry.bugs.site import SAME, Mutation, Site


def _quick_gelu(site: Site) -> Any:
    return site["input"] * torch.sigmoid(1.702 * site["input"])


def _prelu_last_axis(site: Site) -> Any:
    x, slope = site["input"], site["weight"]
    if slope.numel() == 1 or x.ndim < 3 or x.shape[-1] != slope.numel():
        return SAME
    return torch.where(x > 0, x, slope * x)


def _keras_hardsigmoid(site: Site) -> Any:
    return (0.2 * site["input"] + 0.5).clamp(0.0, 1.0)


def _unbounded(site: Site) -> Any:
    """The lower bound only."""
    return site["input"].clamp(min=site["min_val"])


def _glu_swapped(site: Site) -> Any:
    a, b = site["input"].chunk(2, site["dim"])
    return torch.sigmoid(a) * b


def _celu_as_elu(site: Site) -> Any:
    return SAME if site["alpha"] == 1.0 else F.elu(site["input"], site["alpha"])


def _elu_as_celu(site: Site) -> Any:
    return SAME if site["alpha"] == 1.0 else F.celu(site["input"], site["alpha"])


def _along(axis: int) -> Mutation:
    """The reduction along another axis."""

    def mutation(site: Site) -> Any:
        x, dim = site["input"], site["dim"]
        if dim is None or not -x.ndim <= axis < x.ndim or (dim - axis) % x.ndim == 0:
            return SAME
        return site.original(dim=axis)

    return mutation


def _other_softmax(site: Site) -> Any:
    function = F.log_softmax if site.op == "softmax" else F.softmax
    return function(site["input"], dim=site["dim"])


RULES = (
    Rule(
        "gelu_tanh",
        "GELU with the tanh approximation",
        "The tanh approximation of GELU is computed (the default of jax.nn.gelu and nnx.gelu).",
        "nn.GELU and F.gelu are exact (erf) unless approximate='tanh' is given: "
        "jax.nn.gelu(x, approximate=False).",
        "relative error about 2e-4 where |x| is near 2; none near zero; float32 often hides it",
        ("gelu",),
        each_of("approximate", "tanh"),
    ),
    Rule(
        "gelu_exact",
        "exact GELU where the source approximates",
        "The exact (erf) GELU is computed.",
        "The source asks for approximate='tanh': jax.nn.gelu(x, approximate=True).",
        "relative error about 2e-4 where |x| is near 2",
        ("gelu",),
        each_of("approximate", "none"),
    ),
    Rule(
        "gelu_quick",
        "GELU as x * sigmoid(1.702 x)",
        "The sigmoid approximation of GELU is computed.",
        "F.gelu is the exact erf form (or the tanh one where asked for), never x*sigmoid(1.702x).",
        "relative error about 1e-2",
        ("gelu",),
        (_quick_gelu,),
    ),
    Rule(
        "leaky_relu_slope",
        "LeakyReLU with another negative slope",
        "A default slope (0.01, or 0.2 as in GAN code) is used instead of the source's.",
        "jax.nn.leaky_relu(x, negative_slope=<the module's negative_slope>).",
        "only negative inputs differ, all by one factor",
        ("leaky_relu",),
        each_of("negative_slope", 0.01, 0.2, 0.1, 0.3),
    ),
    Rule(
        "prelu_channel_axis",
        "PReLU slopes along the last axis",
        "The slopes are broadcast along the last axis.",
        "nn.PReLU has one slope per channel of axis 1: reshape it to (1, C, 1, …).",
        "only negative inputs differ; shapes fit only where the last axis has C elements",
        ("prelu",),
        (_prelu_last_axis,),
    ),
    Rule(
        "elu_alpha",
        "ELU without its alpha",
        "alpha 1 is used instead of the source's.",
        "jax.nn.elu(x, alpha=<the module's alpha>); the same for celu.",
        "only negative inputs differ, for elu all by one factor",
        ("elu", "celu"),
        each_of("alpha", 1.0),
    ),
    Rule(
        "celu_as_elu",
        "CELU and ELU exchanged",
        "ELU is computed for CELU or the reverse.",
        "CELU divides by alpha inside the exponential: alpha*(exp(x/alpha)-1); ELU does not.",
        "only negative inputs differ, and only where alpha is not 1",
        ("celu", "elu"),
        (_celu_as_elu, _elu_as_celu),
    ),
    Rule(
        "softplus_beta",
        "Softplus without its beta",
        "beta 1 is used (jax.nn.softplus has none).",
        "F.softplus is log(1+exp(beta*x))/beta: jax.nn.softplus(beta*x)/beta.",
        "smooth difference around zero, none far from it",
        ("softplus",),
        each_of("beta", 1.0),
    ),
    Rule(
        "hardsigmoid_slope",
        "hard sigmoid with slope 0.2",
        "The slope 0.2 of other frameworks is used.",
        "F.hardsigmoid is relu6(x+3)/6 (slope 1/6), as jax.nn.hard_sigmoid.",
        "differences up to 0.1 inside (-3, 3)",
        ("hardsigmoid",),
        (_keras_hardsigmoid,),
    ),
    Rule(
        "relu6_unbounded",
        "ReLU6 or Hardtanh without its upper bound",
        "Plain ReLU is computed for ReLU6, or the upper bound is dropped.",
        "jax.nn.relu6(x), or jnp.clip with both of the source's bounds.",
        "only values above the bound differ",
        ("hardtanh",),
        (_unbounded,),
    ),
    Rule(
        "hardtanh_bounds",
        "Hardtanh with the bounds -1 and 1",
        "jax.nn.hard_tanh is used, which has fixed bounds.",
        "jnp.clip(x, min_val, max_val) with the source's bounds.",
        "values outside (-1, 1) differ",
        ("hardtanh",),
        (given(min_val=-1.0, max_val=1.0),),
    ),
    Rule(
        "glu_swapped",
        "GLU gates the wrong half",
        "sigmoid is applied to the first half.",
        "F.glu(x, dim) is a * sigmoid(b) where a is the first half along dim, as jax.nn.glu.",
        "everything differs, the shape is right",
        ("glu",),
        (_glu_swapped,),
    ),
    Rule(
        "glu_axis",
        "GLU along another axis",
        "The halves are taken along another axis.",
        "F.glu and jax.nn.glu halve the last axis unless dim says otherwise: pass it as axis.",
        "everything differs; the shape shows it unless two axes change places",
        ("glu",),
        (_along(-1), _along(1)),
    ),
    Rule(
        "softmax_axis",
        "softmax along the wrong axis",
        "The softmax is normalised along another axis.",
        "Pass the source's dim as axis: jax.nn.softmax(x, axis=dim); its default is the last one.",
        "everything differs; sums along the candidate's axis are 1",
        ("softmax", "log_softmax"),
        (_along(-1), _along(1), _along(0), _along(-2)),
    ),
    Rule(
        "softmax_logarithm",
        "softmax and log_softmax exchanged",
        "Probabilities are returned for log-probabilities or the reverse.",
        "F.log_softmax is jax.nn.log_softmax, F.softmax is jax.nn.softmax.",
        "all values of one sign where the source has the other",
        ("softmax", "log_softmax"),
        (_other_softmax,),
    ),
)
