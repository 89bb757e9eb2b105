"""Losses over classes: several labels with a margin, and a softmax in clusters of rare classes."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ferry.prelude.base import Module
from ferry.prelude.container import Sequential
from ferry.prelude.linear import Linear
from ferry.prelude.loss import reduce_loss, reduction_of


def multilabel_margin_loss(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge of each label in `target` (up to the first -1) against each other class, over all classes."""
    is_label = jnp.cumprod(target >= 0, -1).astype(bool)
    labels = jnp.where(is_label, target, 0)
    classes = input.shape[-1]
    chosen = is_label[..., None] & (labels[..., None] == jnp.arange(classes))
    pairs = is_label[..., None] & ~jnp.any(chosen, -2)[..., None, :]
    scores = jnp.take_along_axis(input, labels, -1)[..., None]
    hinge = jax.nn.relu(1 - scores + input[..., None, :])
    loss = jnp.sum(jnp.where(pairs, hinge, 0), (-2, -1)) / classes
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


class MultiLabelMarginLoss(Module):
    """Hinge of labels against all other classes."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return multilabel_margin_loss(input, target, reduction=self.reduction)


class ASMoutput(NamedTuple):
    """What AdaptiveLogSoftmaxWithLoss returns."""

    output: jax.Array
    loss: jax.Array


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax whose rare classes share one entry of the head for each cluster between `cutoffs`.

    Cluster i has a projection to in_features / div_value ** (i + 1) features and a softmax of its own.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = (*cutoffs, n_classes)
        self.n_clusters = len(cutoffs)
        self.shortlist_size = self.cutoffs[0]
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, rngs=rngs)
        tail: list[Sequential] = []
        for index, (low, high) in enumerate(itertools.pairwise(self.cutoffs), 1):
            width = int(in_features // div_value**index)
            project = Linear(in_features, width, bias=False, rngs=rngs)
            tail.append(Sequential(project, Linear(width, high - low, bias=False, rngs=rngs)))
        self.tail = nnx.List(tail)

    def forward(self, input_: jax.Array, target_: jax.Array) -> ASMoutput:
        """The log-probability of each target, and minus their mean."""
        log_probs = self.log_prob(input_)
        output = jnp.take_along_axis(log_probs, target_[..., None], -1)[..., 0]
        return ASMoutput(output, -jnp.mean(output))

    def log_prob(self, input: jax.Array) -> jax.Array:
        """The log-probabilities of all classes, along the last axis."""
        head = jax.nn.log_softmax(self.head(input), -1)
        parts = [head[..., : self.shortlist_size]]
        for index, cluster in enumerate(self.tail):
            entry = self.shortlist_size + index
            within = jax.nn.log_softmax(cluster(input), -1)
            parts.append(head[..., entry : entry + 1] + within)
        return jnp.concatenate(parts, -1)

    def predict(self, input: jax.Array) -> jax.Array:
        """The most probable class."""
        return jnp.argmax(self.log_prob(input), -1)
