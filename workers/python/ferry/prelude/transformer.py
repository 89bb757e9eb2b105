"""Transformer layers and stacks: post-norm by default, torch's names and argument order."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.activation import gelu
from ferry.prelude.attention import MultiheadAttention, xavier_param
from ferry.prelude.base import Module, clone_module
from ferry.prelude.dropout import Dropout
from ferry.prelude.linear import Linear
from ferry.prelude.norm import LayerNorm

ActivationFunction = Callable[[jax.Array], jax.Array]


def activation_by_name(activation: str | ActivationFunction) -> ActivationFunction:
    """ "relu" and "gelu" by name; a function or module is kept."""
    if activation == "relu":
        return jax.nn.relu
    if activation == "gelu":
        return gelu
    if isinstance(activation, str):
        raise ValueError(f"activation should be relu or gelu, not {activation}")
    return activation


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward block, each with dropout, residual and layer norm."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | ActivationFunction = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rngs=rngs
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, rngs=rngs)
        self.dropout = Dropout(dropout, rngs=rngs)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rngs=rngs)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout, rngs=rngs)
        self.dropout2 = Dropout(dropout, rngs=rngs)
        self.activation = activation_by_name(activation)

    def forward(
        self,
        src: jax.Array,
        src_mask: jax.Array | None = None,
        src_key_padding_mask: jax.Array | None = None,
        is_causal: bool = False,
    ) -> jax.Array:
        """Encode one layer."""
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            src = src + self._attend(self.norm1(src), *masks)
            return src + self._feed_forward(self.norm2(src))
        src = self.norm1(src + self._attend(src, *masks))
        encoded: jax.Array = self.norm2(src + self._feed_forward(src))
        return encoded

    def _attend(
        self,
        x: jax.Array,
        mask: jax.Array | None,
        key_padding_mask: jax.Array | None,
        is_causal: bool,
    ) -> jax.Array:
        output, _ = self.self_attn(
            x, x, x, key_padding_mask, need_weights=False, attn_mask=mask, is_causal=is_causal
        )
        dropped: jax.Array = self.dropout1(output)
        return dropped

    def _feed_forward(self, x: jax.Array) -> jax.Array:
        hidden = self.dropout(self.activation(self.linear1(x)))
        dropped: jax.Array = self.dropout2(self.linear2(hidden))
        return dropped


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the memory and a feed-forward block."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | ActivationFunction = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rngs=rngs
        )
        self.multihead_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rngs=rngs
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, rngs=rngs)
        self.dropout = Dropout(dropout, rngs=rngs)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rngs=rngs)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout, rngs=rngs)
        self.dropout2 = Dropout(dropout, rngs=rngs)
        self.dropout3 = Dropout(dropout, rngs=rngs)
        self.activation = activation_by_name(activation)

    def forward(
        self,
        tgt: jax.Array,
        memory: jax.Array,
        tgt_mask: jax.Array | None = None,
        memory_mask: jax.Array | None = None,
        tgt_key_padding_mask: jax.Array | None = None,
        memory_key_padding_mask: jax.Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """Decode one layer."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        cross = (memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            tgt = tgt + self._attend(self.norm1(tgt), *own)
            tgt = tgt + self._attend_memory(self.norm2(tgt), memory, *cross)
            return tgt + self._feed_forward(self.norm3(tgt))
        tgt = self.norm1(tgt + self._attend(tgt, *own))
        tgt = self.norm2(tgt + self._attend_memory(tgt, memory, *cross))
        decoded: jax.Array = self.norm3(tgt + self._feed_forward(tgt))
        return decoded

    def _attend(
        self,
        x: jax.Array,
        mask: jax.Array | None,
        key_padding_mask: jax.Array | None,
        is_causal: bool,
    ) -> jax.Array:
        output, _ = self.self_attn(
            x, x, x, key_padding_mask, need_weights=False, attn_mask=mask, is_causal=is_causal
        )
        dropped: jax.Array = self.dropout1(output)
        return dropped

    def _attend_memory(
        self,
        x: jax.Array,
        memory: jax.Array,
        mask: jax.Array | None,
        key_padding_mask: jax.Array | None,
        is_causal: bool,
    ) -> jax.Array:
        output, _ = self.multihead_attn(
            x,
            memory,
            memory,
            key_padding_mask,
            need_weights=False,
            attn_mask=mask,
            is_causal=is_causal,
        )
        dropped: jax.Array = self.dropout2(output)
        return dropped

    def _feed_forward(self, x: jax.Array) -> jax.Array:
        hidden = self.dropout(self.activation(self.linear1(x)))
        dropped: jax.Array = self.dropout3(self.linear2(hidden))
        return dropped


class TransformerEncoder(Module):
    """A stack of `num_layers` copies of one layer, with an optional last norm.

    Every position is computed, also where `src_key_padding_mask` hides it.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.layers = clone_layers(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: jax.Array,
        mask: jax.Array | None = None,
        src_key_padding_mask: jax.Array | None = None,
        is_causal: bool | None = None,
    ) -> jax.Array:
        """Encode with every layer in turn."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A stack of `num_layers` copies of one layer, with an optional last norm."""

    def __init__(
        self,
        decoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.layers = clone_layers(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: jax.Array,
        memory: jax.Array,
        tgt_mask: jax.Array | None = None,
        memory_mask: jax.Array | None = None,
        tgt_key_padding_mask: jax.Array | None = None,
        memory_key_padding_mask: jax.Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """Decode with every layer in turn."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                bool(tgt_is_causal),
                memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


def clone_layers(layer: Module, count: int) -> nnx.List[Module]:
    """`count` copies with weights of their own, all starting from `layer`'s values."""
    copies = nnx.List[Module]([])
    for _ in range(count):
        layer = clone_module(layer)
        copies.append(layer)
    return copies


class Transformer(Module):
    """Encoder and decoder stacks with a last norm each; matrices start from xavier_uniform."""

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | ActivationFunction = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if custom_encoder is not None or custom_decoder is not None:
            raise ValueError("Transformer: custom encoders and decoders are not supported")
        encoder_layer = TransformerEncoderLayer(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            rngs=rngs,
        )
        decoder_layer = TransformerDecoderLayer(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            rngs=rngs,
        )
        encoder_norm = LayerNorm(d_model, layer_norm_eps, bias=bias)
        decoder_norm = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.encoder = TransformerEncoder(encoder_layer, num_encoder_layers, encoder_norm)
        self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, decoder_norm)
        self._reset_matrices(rngs)

    def _reset_matrices(self, rngs: nnx.Rngs | None) -> None:
        for _, parameter in nnx.to_flat_state(nnx.state(self, nnx.Param)):
            if parameter.ndim == 2:
                parameter[...] = xavier_param(parameter.shape, rngs)[...]

    def forward(
        self,
        src: jax.Array,
        tgt: jax.Array,
        src_mask: jax.Array | None = None,
        tgt_mask: jax.Array | None = None,
        memory_mask: jax.Array | None = None,
        src_key_padding_mask: jax.Array | None = None,
        tgt_key_padding_mask: jax.Array | None = None,
        memory_key_padding_mask: jax.Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """Encode `src`, then decode `tgt` with it."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        decoded: jax.Array = self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )
        return decoded

    @staticmethod
    def generate_square_subsequent_mask(sz: int) -> jax.Array:
        """Zero on and below the diagonal, -inf above."""
        return jnp.triu(jnp.full((sz, sz), -jnp.inf), 1)
