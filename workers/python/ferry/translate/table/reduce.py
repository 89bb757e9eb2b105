"""Fewer elements: sums, extremes, running totals."""

from __future__ import annotations

from ferry.translate.ops import Op

_DIM = "input dim:axes=None keepdim=False * dtype=None"
_AXIS = "({input}{dim?, axis=%}{keepdim?, keepdims=%}{dtype?, dtype=%})"

RECORDS = (
    Op("torch.sum Tensor.sum", _DIM, f"jnp.sum{_AXIS}"),
    Op("torch.mean Tensor.mean", _DIM, f"jnp.mean{_AXIS}"),
    Op("torch.nanmean Tensor.nanmean", _DIM, f"jnp.nanmean{_AXIS}"),
    Op("torch.nansum Tensor.nansum", _DIM, f"jnp.nansum{_AXIS}"),
    Op("torch.prod Tensor.prod", _DIM, f"jnp.prod{_AXIS}"),
    Op("torch.all Tensor.all", _DIM, f"jnp.all{_AXIS}"),
    Op("torch.any Tensor.any", _DIM, f"jnp.any{_AXIS}"),
    Op(
        "torch.amax Tensor.amax",
        "input dim:axes=None keepdim=False",
        "jnp.max({input}{dim?, axis=%}{keepdim?, keepdims=%})",
    ),
    Op(
        "torch.amin Tensor.amin",
        "input dim:axes=None keepdim=False",
        "jnp.min({input}{dim?, axis=%}{keepdim?, keepdims=%})",
    ),
    Op("torch.max Tensor.max", "input", "jnp.max({input})"),
    Op(
        "torch.max Tensor.max torch.maximum Tensor.maximum",
        "input other",
        "jnp.maximum({input}, {other})",
        when="other:tensor",
    ),
    Op(
        "torch.max Tensor.max",
        "input dim keepdim=False",
        "max_dim({input}, {dim}{keepdim?, keepdim=%})",
        result="pair",
    ),
    Op("torch.min Tensor.min", "input", "jnp.min({input})"),
    Op(
        "torch.min Tensor.min torch.minimum Tensor.minimum",
        "input other",
        "jnp.minimum({input}, {other})",
        when="other:tensor",
    ),
    Op(
        "torch.min Tensor.min",
        "input dim keepdim=False",
        "min_dim({input}, {dim}{keepdim?, keepdim=%})",
        result="pair",
    ),
    Op("torch.maximum Tensor.maximum", "input other", "jnp.maximum({input}, {other})"),
    Op("torch.minimum Tensor.minimum", "input other", "jnp.minimum({input}, {other})"),
    Op(
        "torch.argmax Tensor.argmax",
        "input dim=None keepdim=False",
        "jnp.argmax({input}{dim?, axis=%}{keepdim?, keepdims=%})",
    ),
    Op(
        "torch.argmin Tensor.argmin",
        "input dim=None keepdim=False",
        "jnp.argmin({input}{dim?, axis=%}{keepdim?, keepdims=%})",
    ),
    Op(
        "torch.logsumexp Tensor.logsumexp",
        "input dim:axes keepdim=False",
        "jax.nn.logsumexp({input}, axis={dim}{keepdim?, keepdims=%})",
    ),
    Op(
        "torch.cumsum Tensor.cumsum",
        "input dim * dtype=None",
        "jnp.cumsum({input}, axis={dim}{dtype?, dtype=%})",
    ),
    Op(
        "torch.quantile Tensor.quantile",
        "input q dim=None keepdim=False",
        "jnp.quantile({input}, {q}{dim?, axis=%}{keepdim?, keepdims=%})",
    ),
    Op(
        "torch.count_nonzero Tensor.count_nonzero",
        "input dim:axes=None",
        "jnp.count_nonzero({input}{dim?, axis=%})",
    ),
    Op(
        "torch.diff Tensor.diff",
        "input n=1 dim=-1 prepend=None append=None",
        "jnp.diff({input}{n?, %}{dim?, axis=%}{prepend?, prepend=%}{append?, append=%})",
    ),
    Op("torch.dist Tensor.dist", "input other p=2", "norm({input.} - {other.}{p?, %})"),
    Op(
        "torch.trapezoid torch.trapz",
        "y x=None * dx=1.0 dim=-1",
        "jnp.trapezoid({y}{x?, %}{dx?, dx=%}{dim?, axis=%})",
    ),
    Op("torch.cov Tensor.cov", "input * correction=1", "jnp.cov({input}{correction?, ddof=%})"),
    Op("torch.corrcoef Tensor.corrcoef", "input", "jnp.corrcoef({input})"),
    Op("torch.trace Tensor.trace", "input", "jnp.trace({input})"),
)
