"""Picking and placing elements. Results whose shape depends on values are refused."""

from __future__ import annotations

from ferry.translate.ops import Op

RECORDS = (
    Op("torch.where", "condition input other", "jnp.where({condition}, {input}, {other})"),
    Op("Tensor.where", "input condition other", "jnp.where({condition}, {input}, {other})"),
    Op(
        "torch.take_along_dim Tensor.take_along_dim",
        "input indices dim",
        "jnp.take_along_axis({input}, {indices}, axis={dim})",
    ),
    Op(
        "torch.take_along_dim Tensor.take_along_dim",
        "input indices",
        "{input.}.reshape(-1)[{indices.}.reshape(-1)]",
    ),
    Op("torch.select Tensor.select", "input dim index", "jnp.take({input}, {index}, axis={dim})"),
    Op("torch.isin", "elements test_elements", "jnp.isin({elements}, {test_elements})"),
)

# operations whose result's shape depends on the values of a tensor
DATA_DEPENDENT = frozenset(
    [
        "nonzero",
        "masked_select",
        "unique",
        "unique_consecutive",
        "argwhere",
        "histogram",
        "bincount",
    ]
)
