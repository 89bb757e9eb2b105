"""Attention with torch's mask rules and MultiheadAttention with its packed projections."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.base import Module, array_of, uniform_param
from ferry.prelude.dropout import dropout
from ferry.prelude.linear import Linear, linear


def causal_mask(rows: int, columns: int) -> jax.Array:
    """True where a query may look: keys up to its own index, aligned at the top left."""
    return jnp.tril(jnp.ones((rows, columns), bool))


def safe_softmax(scores: jax.Array) -> jax.Array:
    """Softmax over the last axis; a row of -inf gives zeros and no gradient."""
    peak = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    dead = peak == -jnp.inf
    shares = jnp.exp(scores - jnp.where(dead, 0, peak))
    return shares / jnp.where(dead, 1, jnp.sum(shares, axis=-1, keepdims=True))


def scaled_dot_product_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    attn_mask: jax.Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """softmax(q k^T * scale + mask) v over the last two axes.

    A boolean mask keeps where True, a floating one is added; `is_causal` aligns at the top
    left. Rows that may look nowhere give zeros. `enable_gqa` repeats the heads (axis -3) of
    key and value. Dropout applies whenever `dropout_p` is above 0.
    """
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = jnp.repeat(key, repeats, axis=-3), jnp.repeat(value, repeats, axis=-3)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = jnp.matmul(query * factor, jnp.swapaxes(key, -2, -1))
    if is_causal:
        attn_mask = causal_mask(*scores.shape[-2:])
    if attn_mask is not None:
        scores = mask_scores(scores, attn_mask)
    weights = safe_softmax(scores)
    return jnp.matmul(dropout(weights, dropout_p, rngs=rngs), value)


def mask_scores(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """Drop where a boolean mask is False, or add a floating mask."""
    if mask.dtype == jnp.bool_:
        return jnp.where(mask, scores, -jnp.inf)
    return scores + mask


def additive_mask(mask: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """MultiheadAttention's masks as numbers to add: a boolean one drops where True."""
    if mask.dtype == jnp.bool_:
        return jnp.where(mask, -jnp.inf, 0).astype(dtype)
    return mask.astype(dtype)


class MultiheadAttention(Module):
    """Multi-head attention with torch's packed parameters and its (L, N, E) default layout.

    With `kdim` or `vdim` the projections are separate. Masks drop where True or are added.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if add_bias_kv or add_zero_attn:
            raise ValueError("MultiheadAttention: add_bias_kv and add_zero_attn are not supported")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        packed = self.kdim == embed_dim and self.vdim == embed_dim
        e = embed_dim
        self.in_proj_weight = xavier_param((3 * e, e), rngs) if packed else None
        self.q_proj_weight = None if packed else xavier_param((e, e), rngs)
        self.k_proj_weight = None if packed else xavier_param((e, self.kdim), rngs)
        self.v_proj_weight = None if packed else xavier_param((e, self.vdim), rngs)
        self.in_proj_bias = nnx.Param(jnp.zeros((3 * e,))) if bias else None
        self.out_proj = Linear(e, e, bias, rngs=rngs)
        if self.out_proj.bias is not None:
            self.out_proj.bias[...] = jnp.zeros((e,))
        self.rngs = rngs.fork() if rngs is not None else None

    def forward(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        key_padding_mask: jax.Array | None = None,
        need_weights: bool = True,
        attn_mask: jax.Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[jax.Array, jax.Array | None]:
        """The attended values and, if `need_weights`, the weights (averaged over heads).

        With the weights a fully masked row gives NaN, without them zeros, as in torch.
        """
        batched = query.ndim == 3
        if not batched:
            query, key, value = query[None], key[None], value[None]
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask[None]
        elif not self.batch_first:
            query, key, value = (jnp.swapaxes(x, 0, 1) for x in (query, key, value))
        if is_causal and key_padding_mask is None and not need_weights:
            attn_mask = ~causal_mask(query.shape[1], key.shape[1])
        mask = self._merge_masks(attn_mask, key_padding_mask, query)
        output, weights = self._attend(*self._project(query, key, value), mask, need_weights)
        if weights is not None and average_attn_weights:
            weights = jnp.mean(weights, axis=1)
        if not batched:
            return output[0], None if weights is None else weights[0]
        return output if self.batch_first else jnp.swapaxes(output, 0, 1), weights

    def _project(
        self, query: jax.Array, key: jax.Array, value: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Project (N, L, E) and split the heads: (N, heads, L, head_dim)."""
        if self.in_proj_weight is not None:
            weights = jnp.split(self.in_proj_weight[...], 3)
        else:
            separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            weights = [array_of(weight) for weight in separate]
        packed_bias = array_of(self.in_proj_bias)
        biases = [None] * 3 if packed_bias is None else jnp.split(packed_bias, 3)
        q, k, v = (
            jnp.swapaxes(linear(x, w, b).reshape(*x.shape[:2], -1, self.head_dim), 1, 2)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        return q, k, v

    def _merge_masks(
        self, attn_mask: jax.Array | None, key_padding_mask: jax.Array | None, query: jax.Array
    ) -> jax.Array | None:
        """One additive mask that broadcasts to (N, heads, L, S)."""
        mask = None
        if attn_mask is not None:
            mask = additive_mask(attn_mask, query.dtype)
            if mask.ndim == 3:
                mask = mask.reshape(-1, self.num_heads, *mask.shape[1:])
        if key_padding_mask is not None:
            padding = additive_mask(key_padding_mask, query.dtype)[:, None, None, :]
            mask = padding if mask is None else mask + padding
        return mask

    def _attend(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        mask: jax.Array | None,
        need_weights: bool,
    ) -> tuple[jax.Array, jax.Array | None]:
        """Attend in (N, heads, L, head_dim), join the heads and project."""
        rate = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = jnp.matmul(query / math.sqrt(self.head_dim), jnp.swapaxes(key, -2, -1))
            scores = scores if mask is None else scores + mask
            flat = jax.nn.softmax(scores, axis=-1).reshape(-1, *scores.shape[2:])
            weights = dropout(flat, rate, rngs=self.rngs).reshape(scores.shape)
            heads = jnp.matmul(weights, value)
        else:
            heads = scaled_dot_product_attention(query, key, value, mask, rate, rngs=self.rngs)
        joined = jnp.swapaxes(heads, 1, 2).reshape(heads.shape[0], -1, self.embed_dim)
        return self.out_proj(joined), weights


def xavier_param(shape: tuple[int, int], rngs: nnx.Rngs | None) -> nnx.Param[jax.Array]:
    """A matrix from U(+-sqrt(6 / (rows + columns)))."""
    return uniform_param(shape, math.sqrt(6.0 / sum(shape)), rngs)
