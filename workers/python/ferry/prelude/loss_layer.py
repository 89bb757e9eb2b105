"""Losses as modules: the functions of `loss` with their options kept."""

from collections.abc import Callable

import jax
from flax import nnx

from ferry.prelude.base import Buffer, Module, array_of
from ferry.prelude.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    poisson_nll_loss,
    reduction_of,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ferry.prelude.reduce import cosine_similarity, pairwise_distance


def weight_buffer(weight: jax.Array | None) -> Buffer | None:
    """Given weights as state that is not trained."""
    return None if weight is None else Buffer(weight)


class MSELoss(Module):
    """Squared error."""

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
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(Module):
    """Absolute error."""

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
        return l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Module):
    """Huber loss over `beta`."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.reduction = reduction_of(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return smooth_l1_loss(input, target, beta=self.beta, reduction=self.reduction)


class HuberLoss(Module):
    """Half the squared error within `delta`, linear beyond."""

    def __init__(
        self,
        reduction: str = "mean",
        delta: float = 1.0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return huber_loss(input, target, delta=self.delta, reduction=self.reduction)


class NLLLoss(Module):
    """Minus the log-probability of the target class."""

    def __init__(
        self,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.weight = weight_buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return nll_loss(
            input,
            target,
            weight=array_of(self.weight),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CrossEntropyLoss(Module):
    """Cross entropy of logits with class indices or probabilities."""

    def __init__(
        self,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.weight = weight_buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction_of(size_average, reduce, reduction)
        self.label_smoothing = label_smoothing

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return cross_entropy(
            input,
            target,
            weight=array_of(self.weight),
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class BCELoss(Module):
    """Binary cross entropy of probabilities."""

    def __init__(
        self,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.weight = weight_buffer(weight)
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return binary_cross_entropy(
            input, target, weight=array_of(self.weight), reduction=self.reduction
        )


class BCEWithLogitsLoss(Module):
    """Binary cross entropy of logits."""

    def __init__(
        self,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.weight = weight_buffer(weight)
        self.reduction = reduction_of(size_average, reduce, reduction)
        self.pos_weight = weight_buffer(pos_weight)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return binary_cross_entropy_with_logits(
            input,
            target,
            weight=array_of(self.weight),
            pos_weight=array_of(self.pos_weight),
            reduction=self.reduction,
        )


class KLDivLoss(Module):
    """Kullback-Leibler divergence of log-probabilities."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.reduction = reduction_of(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return kl_div(input, target, log_target=self.log_target, reduction=self.reduction)


class TripletMarginLoss(Module):
    """Triplet loss with a p-norm distance."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, anchor: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
        """The reduced loss."""
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class CosineEmbeddingLoss(Module):
    """Cosine distance of similar and dissimilar pairs."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.margin = margin
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input1: jax.Array, input2: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class HingeEmbeddingLoss(Module):
    """Hinge loss of a distance."""

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.margin = margin
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(Module):
    """Hinge loss of the order of two inputs."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.margin = margin
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input1: jax.Array, input2: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return margin_ranking_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class SoftMarginLoss(Module):
    """Logistic loss of two classes."""

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
        return soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Module):
    """Logistic loss averaged over labels."""

    def __init__(
        self,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.weight = weight_buffer(weight)
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return multilabel_soft_margin_loss(
            input, target, weight=array_of(self.weight), reduction=self.reduction
        )


class MultiMarginLoss(Module):
    """Hinge loss of the target class against the others."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: jax.Array | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.p = p
        self.margin = margin
        self.weight = weight_buffer(weight)
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return multi_margin_loss(
            input,
            target,
            p=self.p,
            margin=self.margin,
            weight=array_of(self.weight),
            reduction=self.reduction,
        )


class PoissonNLLLoss(Module):
    """Minus the Poisson log-likelihood."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.log_input = log_input
        self.full = full
        self.eps = eps
        self.reduction = reduction_of(size_average, reduce, reduction)

    def forward(self, input: jax.Array, target: jax.Array) -> jax.Array:
        """The reduced loss."""
        return poisson_nll_loss(
            input,
            target,
            log_input=self.log_input,
            full=self.full,
            eps=self.eps,
            reduction=self.reduction,
        )


class GaussianNLLLoss(Module):
    """Minus the Gaussian log-likelihood."""

    def __init__(
        self,
        *,
        full: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.full = full
        self.eps = eps
        self.reduction = reduction

    def forward(self, input: jax.Array, target: jax.Array, var: jax.Array) -> jax.Array:
        """The reduced loss."""
        return gaussian_nll_loss(
            input, target, var, full=self.full, eps=self.eps, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Module):
    """Triplet loss with a distance of one's own."""

    def __init__(
        self,
        *,
        distance_function: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
        rngs: nnx.Rngs | None = None,
    ) -> None:
        given = distance_function is not None
        self.distance_function = distance_function if given else pairwise_distance
        self.margin = margin
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
        """The reduced loss."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CosineSimilarity(Module):
    """Cosine of two inputs along `dim`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8, *, rngs: nnx.Rngs | None = None) -> None:
        self.dim = dim
        self.eps = eps

    def forward(self, x1: jax.Array, x2: jax.Array) -> jax.Array:
        """The cosine."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """p-norm of the difference of rows."""

    def __init__(
        self,
        p: float = 2.0,
        eps: float = 1e-6,
        keepdim: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: jax.Array, x2: jax.Array) -> jax.Array:
        """The distance over the last axis."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
