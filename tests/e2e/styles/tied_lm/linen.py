"""Linen in setup style, its attention with a causal mask, a fused gate."""

import jax.numpy as jnp
from flax import linen as nn


class Block(nn.Module):
    def setup(self):
        self.norm_attn = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)
        self.attn = nn.SelfAttention(2)
        self.norm_mlp = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)
        self.wi = nn.Dense(24, use_bias=False)
        self.wo = nn.Dense(8, use_bias=False)

    def __call__(self, x):
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + self.attn(self.norm_attn(x), mask=mask)
        gate, up = jnp.split(self.wi(self.norm_mlp(x)), 2, -1)
        return x + self.wo(nn.silu(gate) * up)


class Model(nn.Module):
    def setup(self):
        self.token_embedding = nn.Embed(13, 8)
        self.position_embedding = nn.Embed(10, 8)
        self.blocks = [Block() for _ in range(2)]
        self.norm = nn.LayerNorm(epsilon=1e-5, use_fast_variance=False)

    def __call__(self, tokens):
        x = self.token_embedding(tokens)
        x = x + self.position_embedding(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.token_embedding.attend(self.norm(x))
