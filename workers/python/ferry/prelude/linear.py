"""Linear maps and embeddings in torch's layouts."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ferry.prelude.base import Module, array_of, fan_in_bound, uniform_param


def linear(input: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """`input @ weight.T + bias` with weight of shape (out, in).

    One product of two matrices: XLA is slow at the gradient of one over several batch axes.
    """
    rows = input.reshape(-1, input.shape[-1]) if input.ndim > 2 else input
    output = jnp.matmul(rows, jnp.transpose(weight))
    output = output.reshape(*input.shape[:-1], output.shape[-1])
    return output if bias is None else output + bias


def bilinear(
    input1: jax.Array, input2: jax.Array, weight: jax.Array, bias: jax.Array | None = None
) -> jax.Array:
    """`y_o = x1 @ weight[o] @ x2 + bias_o` over the last axis of both inputs."""
    output = jnp.einsum("...i,oij,...j->...o", input1, weight, input2)
    return output if bias is None else output + bias


def embedding(input: jax.Array, weight: jax.Array, padding_idx: int | None = None) -> jax.Array:
    """Rows of `weight`; the row `padding_idx` receives no gradient."""
    rows = jnp.take(weight, input, axis=0)
    if padding_idx is None:
        return rows
    is_padding = input == padding_idx % weight.shape[0]
    return jnp.where(is_padding[..., None], lax.stop_gradient(rows), rows)


class Identity(Module):
    """Returns its input; constructor arguments are ignored, as in torch."""

    def __init__(self, *args: object, rngs: nnx.Rngs | None = None, **kwargs: object) -> None:
        pass

    def forward(self, input: jax.Array) -> jax.Array:
        """The input itself."""
        return input


class Linear(Module):
    """`x @ weight.T + bias`; weight (out, in) and bias from U(+-1/sqrt(in))."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        bound = fan_in_bound(in_features)
        self.weight = uniform_param((out_features, in_features), bound, rngs)
        self.bias = uniform_param((out_features,), bound, rngs) if bias else None

    def forward(self, input: jax.Array) -> jax.Array:
        """Map the last axis from in_features to out_features."""
        return linear(input, self.weight[...], array_of(self.bias))


class Bilinear(Module):
    """`x1 @ weight[o] @ x2 + bias`; weight (out, in1, in2)."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        bound = fan_in_bound(in1_features)
        self.weight = uniform_param((out_features, in1_features, in2_features), bound, rngs)
        self.bias = uniform_param((out_features,), bound, rngs) if bias else None

    def forward(self, input1: jax.Array, input2: jax.Array) -> jax.Array:
        """Combine the last axes of both inputs."""
        return bilinear(input1, input2, self.weight[...], array_of(self.bias))


class Embedding(Module):
    """A table of rows from N(0, 1); the row `padding_idx` starts at zero and gets no gradient."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        if max_norm is not None or scale_grad_by_freq:
            raise ValueError("Embedding: max_norm and scale_grad_by_freq are not supported")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = nnx.Param(self._initial_rows(rngs))

    def _initial_rows(self, rngs: nnx.Rngs | None) -> jax.Array:
        shape = (self.num_embeddings, self.embedding_dim)
        if rngs is None:
            return jnp.zeros(shape)
        rows = jax.random.normal(rngs.params(), shape)
        return rows if self.padding_idx is None else rows.at[self.padding_idx].set(0)

    def forward(self, input: jax.Array) -> jax.Array:
        """The rows that `input` names."""
        return embedding(input, self.weight[...], self.padding_idx)
