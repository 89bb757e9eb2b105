"""Sums, means and maxima of bags of embeddings."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.base import Module
from ferry.prelude.linear import embedding


def bag_numbers(count: int, offsets: jax.Array) -> jax.Array:
    """The bag of each of `count` elements, where bag b starts at `offsets[b]`."""
    return jnp.searchsorted(offsets, jnp.arange(count), side="right") - 1


def embedding_bag(
    input: jax.Array,
    weight: jax.Array,
    offsets: jax.Array | None = None,
    *,
    mode: str = "mean",
    per_sample_weights: jax.Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> jax.Array:
    """One row per bag: a row of `input`, or a run of a flat `input` that `offsets` begins.

    Elements equal to `padding_idx` do not count; an empty bag is zero.
    """
    if offsets is None:
        bags = jnp.repeat(jnp.arange(input.shape[0]), input.shape[1])
        count = input.shape[0]
    else:
        starts = offsets[:-1] if include_last_offset else offsets
        bags, count = bag_numbers(input.shape[0], starts), starts.shape[0]
    flat = input.reshape(-1)
    rows = embedding(flat, weight, padding_idx)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    counts = jnp.ones(flat.shape, rows.dtype)
    if padding_idx is not None:
        counts = jnp.where(flat == padding_idx % weight.shape[0], 0, counts)
    members = jnp.zeros(count, rows.dtype).at[bags].add(counts)[:, None]
    blank = -jnp.inf if mode == "max" else 0
    rows = jnp.where(counts[:, None] > 0, rows, blank)
    if mode == "max":
        tops = jax.ops.segment_max(rows, bags, count)
        return jnp.where(members > 0, tops, 0)
    total = jnp.zeros((count, rows.shape[1]), rows.dtype).at[bags].add(rows)
    return total / jnp.maximum(members, 1) if mode == "mean" else total


class EmbeddingBag(Module):
    """A table of rows from N(0, 1), read in bags."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if max_norm is not None or scale_grad_by_freq:
            raise ValueError("EmbeddingBag: max_norm and scale_grad_by_freq are not supported")
        self.mode = mode
        self.include_last_offset = include_last_offset
        self.padding_idx = padding_idx
        shape = (num_embeddings, embedding_dim)
        drawn = jnp.zeros(shape) if rngs is None else jax.random.normal(rngs.params(), shape)
        self.weight = nnx.Param(drawn if _weight is None else _weight)

    def forward(
        self,
        input: jax.Array,
        offsets: jax.Array | None = None,
        per_sample_weights: jax.Array | None = None,
    ) -> jax.Array:
        """One row per bag."""
        return embedding_bag(
            input,
            self.weight[...],
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )
