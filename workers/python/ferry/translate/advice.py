"""What a person would write where the engine refuses, by the code of the refusal."""

from __future__ import annotations

ADVICE = {
    "data_dependent_shape": "compute all elements and choose with torch.where, or fix the size; "
    "in jax, jnp.nonzero(x, size=n) is the sized form",
    "tensor_branch": "keep the value a tensor: torch.where here, jnp.where or lax.cond in jax, "
    "and lax.while_loop for a loop",
    "unsafe_alias": "make a new tensor instead of writing in place, or clone before the write",
    "unknown_operation": "write it with operations that GET /v1/engines lists",
    "unsupported_layer": "write the layer as a module of operations that GET /v1/engines lists",
    "unsupported_argument": "leave the argument at its default and compute its effect beside it",
}


def advised(code: str, why: str) -> str:
    """The reason of a refusal, followed by the advice for its code."""
    return f"{why}; {ADVICE[code]}" if code in ADVICE else why
