"""Losses as functions: class axis 1, torch's reductions, weights, smoothing and clamps."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from ferry.prelude.base import channel_shape
from ferry.prelude.pointwise import absolute, clamp_min
from ferry.prelude.reduce import pairwise_distance


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, unless the older pair of flags is given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduce_loss(loss: jax.Array, reduction: str) -> jax.Array:
    """The mean, the sum, or the loss as it is."""
    if reduction == "mean":
        return jnp.mean(loss)
    return jnp.sum(loss) if reduction == "sum" else loss


def mse_loss(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: jax.Array | None = None,
) -> jax.Array:
    """Squared error, weighted if `weight` is given (the mean then divides by its sum)."""
    loss = jnp.square(input - target)
    how = reduction_of(size_average, reduce, reduction)
    if weight is None:
        return reduce_loss(loss, how)
    total = reduce_loss(loss * weight, "sum" if how == "mean" else how)
    return total / jnp.sum(jnp.broadcast_to(weight, loss.shape)) if how == "mean" else total


def l1_loss(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Absolute error."""
    return reduce_loss(absolute(input - target), reduction_of(size_average, reduce, reduction))


def huber_loss(
    input: jax.Array, target: jax.Array, reduction: str = "mean", delta: float = 1.0
) -> jax.Array:
    """Half the squared error within `delta`, linear beyond."""
    error = absolute(input - target)
    loss = jnp.where(error < delta, 0.5 * error * error, delta * (error - 0.5 * delta))
    return reduce_loss(loss, reduction)


def smooth_l1_loss(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> jax.Array:
    """Huber loss over `beta`; with beta 0 the absolute error."""
    how = reduction_of(size_average, reduce, reduction)
    if beta == 0:
        return l1_loss(input, target, reduction=how)
    return huber_loss(input, target, how, beta) / beta


def nll_loss(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Minus the log-probability of the target class (axis 1, or the only axis).

    Targets equal to `ignore_index` count for nothing; the mean divides by the sum of weights.
    """
    axis = 0 if input.ndim == 1 else 1
    valid = target != ignore_index
    classes = jnp.where(valid, target, 0)
    chosen = jnp.take_along_axis(input, jnp.expand_dims(classes, axis), axis=axis)
    scale = valid.astype(input.dtype)
    if weight is not None:
        scale = scale * weight[classes]
    loss = jnp.where(valid, -jnp.squeeze(chosen, axis) * scale, 0)
    how = reduction_of(size_average, reduce, reduction)
    return jnp.sum(loss) / jnp.sum(scale) if how == "mean" else reduce_loss(loss, how)


def cross_entropy(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Cross entropy of logits (class axis 1) with class indices or class probabilities."""
    axis = 0 if input.ndim == 1 else 1
    log_probs = jax.nn.log_softmax(input, axis=axis)
    how = reduction_of(size_average, reduce, reduction)
    if jnp.issubdtype(target.dtype, jnp.floating):
        return probability_entropy(log_probs, target, weight, how, label_smoothing)
    sharp = nll_loss(log_probs, target, weight, None, ignore_index, None, how)
    if label_smoothing == 0:
        return sharp
    smooth = smooth_entropy(log_probs, target, weight, ignore_index, how)
    share = label_smoothing / input.shape[axis]
    return (1 - label_smoothing) * sharp + share * smooth


def class_weights(weight: jax.Array, ndim: int) -> jax.Array:
    """Weights of classes, shaped to broadcast along the class axis."""
    return weight if ndim == 1 else channel_shape(weight, ndim)


def smooth_entropy(
    log_probs: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    ignore_index: int,
    reduction: str,
) -> jax.Array:
    """The part of label smoothing: minus the (weighted) sum of all log-probabilities."""
    axis = 0 if log_probs.ndim == 1 else 1
    valid = target != ignore_index
    scale = valid.astype(log_probs.dtype)
    if weight is not None:
        log_probs = log_probs * class_weights(weight, log_probs.ndim)
        scale = scale * weight[jnp.where(valid, target, 0)]
    loss = jnp.where(valid, -jnp.sum(log_probs, axis=axis), 0)
    return jnp.sum(loss) / jnp.sum(scale) if reduction == "mean" else reduce_loss(loss, reduction)


def probability_entropy(
    log_probs: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    reduction: str,
    label_smoothing: float,
) -> jax.Array:
    """Cross entropy with class probabilities; the mean is over samples and places."""
    axis = 0 if log_probs.ndim == 1 else 1
    classes = log_probs.shape[axis]
    smooth = target * (1 - label_smoothing) + label_smoothing / classes
    terms = log_probs * smooth
    if weight is not None:
        terms = terms * class_weights(weight, terms.ndim)
    return reduce_loss(-jnp.sum(terms, axis=axis), reduction)


def binary_cross_entropy(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Cross entropy of probabilities; logarithms are cut at -100."""
    loss = binary_entropy(input, target)
    loss = loss if weight is None else loss * weight
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def binary_entropy(input: jax.Array, target: jax.Array) -> jax.Array:
    """`-t log(x) - (1 - t) log(1 - x)` with logarithms of at least -100.

    torch's derivatives are `(x - t) / max(x (1 - x), 1e-12)` and the difference of the logs.
    """

    @jax.custom_jvp
    def entropy(input: jax.Array, target: jax.Array) -> jax.Array:
        log_one = jnp.maximum(jnp.log(input), -100)
        log_zero = jnp.maximum(jnp.log1p(-input), -100)
        return (target - 1) * log_zero - target * log_one

    @entropy.defjvp
    def entropy_jvp(
        primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        x, t = primals
        slope = (x - t) / jnp.maximum((1 - x) * x, 1e-12)
        odds = jnp.log1p(-x) - jnp.log(x)
        return entropy(x, t), slope * tangents[0] + odds * tangents[1]

    result: jax.Array = entropy(input, target)
    return result


def binary_cross_entropy_with_logits(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: jax.Array | None = None,
) -> jax.Array:
    """Cross entropy of logits; `pos_weight` weighs the positive class."""
    log_odds = jax.nn.log_sigmoid(input)
    scale = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    loss = (1 - target) * input - scale * log_odds
    loss = loss if weight is None else loss * weight
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def kl_div(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> jax.Array:
    """`t (log t - x)` for log-probabilities x; "batchmean" divides the sum by the batch."""
    if log_target:
        loss = jnp.exp(target) * (target - input)
    else:
        loss = jax.scipy.special.xlogy(target, target) - target * input
    how = reduction_of(size_average, reduce, reduction)
    if how == "batchmean":
        return jnp.sum(loss) / input.shape[0]
    return reduce_loss(loss, how)


def triplet_margin_loss(
    anchor: jax.Array,
    positive: jax.Array,
    negative: jax.Array,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`max(d(a, p) - d(a, n) + margin, 0)`; `swap` takes the nearer of both negatives."""
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = jnp.minimum(far, pairwise_distance(positive, negative, p, eps))
    loss = clamp_min(margin + near - far, 0)
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def triplet_margin_with_distance_loss(
    anchor: jax.Array,
    positive: jax.Array,
    negative: jax.Array,
    *,
    distance_function: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> jax.Array:
    """Triplet loss with a distance of one's own."""
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = jnp.minimum(far, distance(positive, negative))
    return reduce_loss(clamp_min(margin + near - far, 0), reduction)


def cosine_embedding_loss(
    input1: jax.Array,
    input2: jax.Array,
    target: jax.Array,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`1 - cos` where the target is 1, `max(cos - margin, 0)` where it is -1."""
    energy1 = jnp.sum(input1 * input1, axis=-1) + 1e-12
    energy2 = jnp.sum(input2 * input2, axis=-1) + 1e-12
    cosine = jnp.sum(input1 * input2, axis=-1) / jnp.sqrt(energy1 * energy2)
    apart = jnp.where(target == -1, clamp_min(cosine - margin, 0), 0)
    loss = jnp.where(target == 1, 1 - cosine, 0) + apart
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def hinge_embedding_loss(
    input: jax.Array,
    target: jax.Array,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`x` where the target is 1, `max(margin - x, 0)` where it is -1."""
    apart = jnp.where(target == 1, 0, clamp_min(margin - input, 0))
    loss = apart + jnp.where(target == -1, 0, input)
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def margin_ranking_loss(
    input1: jax.Array,
    input2: jax.Array,
    target: jax.Array,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`max(-t (x1 - x2) + margin, 0)`."""
    loss = clamp_min(-target * (input1 - input2) + margin, 0)
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def soft_margin_loss(
    input: jax.Array,
    target: jax.Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`log(1 + exp(-t x))`."""
    loss = jnp.log1p(jnp.exp(-target * input))
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def multilabel_soft_margin_loss(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Binary cross entropy of logits, averaged over the last axis."""
    loss = -(target * jax.nn.log_sigmoid(input) + (1 - target) * jax.nn.log_sigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduce_loss(jnp.mean(loss, axis=-1), reduction_of(size_average, reduce, reduction))


def multi_margin_loss(
    input: jax.Array,
    target: jax.Array,
    p: int = 1,
    margin: float = 1.0,
    weight: jax.Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """`sum of max(margin - x_target + x_i, 0) ** p` over the other classes, over their number."""
    batch, labels = jnp.atleast_2d(input), jnp.atleast_1d(target)
    own = jnp.take_along_axis(batch, labels[:, None], axis=1)
    gaps = jax.nn.relu(margin - own + batch)
    terms = gaps if p == 1 else gaps * gaps
    terms = terms if weight is None else terms * weight[labels][:, None]
    others = jnp.arange(batch.shape[1]) != labels[:, None]
    loss = jnp.sum(jnp.where(others, terms, 0), axis=1) / batch.shape[1]
    loss = loss if input.ndim == 2 else loss[0]
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def poisson_nll_loss(
    input: jax.Array,
    target: jax.Array,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Minus the Poisson log-likelihood; `full` adds Stirling's term for targets above 1."""
    if log_input:
        loss = jnp.exp(input) - target * input
    else:
        loss = input - target * jnp.log(input + eps)
    if full:
        large = jnp.where(target > 1, target, 1)
        stirling = large * jnp.log(large) - large + 0.5 * jnp.log(2 * math.pi * large)
        loss = loss + jnp.where(target > 1, stirling, 0)
    return reduce_loss(loss, reduction_of(size_average, reduce, reduction))


def gaussian_nll_loss(
    input: jax.Array,
    target: jax.Array,
    var: float | jax.Array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> jax.Array:
    """Minus the Gaussian log-likelihood; a variance below `eps` counts as `eps`."""
    variance = jnp.broadcast_to(jnp.asarray(var, input.dtype), jnp.shape(var))
    if variance.ndim == input.ndim - 1 and variance.shape == input.shape[:-1]:
        variance = variance[..., None]
    floor = variance + lax.stop_gradient(jnp.maximum(variance, eps) - variance)
    loss = 0.5 * (jnp.log(floor) + jnp.square(input - target) / floor)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduce_loss(loss, reduction)
