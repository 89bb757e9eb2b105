import jax
import jax.numpy as jnp
from flax import nnx


class Model(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.gate = nnx.Linear(6, 4, use_bias=False, rngs=rngs)
        self.w_in = nnx.Param(jnp.zeros((4, 6, 8)))
        self.w_out = nnx.Param(jnp.zeros((4, 8, 6)))

    def __call__(self, tokens, bias):
        logits = self.gate(tokens) + bias
        probs = jax.nn.softmax(logits, axis=-1)
        top, chosen = jax.lax.top_k(probs, 2)
        top = top / top.sum(-1, keepdims=True)
        hidden = jax.nn.relu(jnp.einsum("bti,eih->bteh", tokens, self.w_in[...])) ** 2
        experts = jnp.einsum("bteh,eho->bteo", hidden, self.w_out[...])
        picked = jnp.take_along_axis(experts, chosen[..., None], axis=2)
        load = jax.nn.one_hot(chosen, 4, dtype=int).sum(axis=(0, 1, 2))
        share = probs.mean(axis=(0, 1))
        aux = (share * load / load.sum()).sum() * 4
        return {"out": (picked * top[..., None]).sum(2), "aux": aux, "routing": (chosen, load)}
