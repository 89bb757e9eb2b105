"""The loss of connectionist temporal classification."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ferry.prelude.base import Module
from ferry.prelude.gradient import with_data
from ferry.prelude.loss import reduce_loss


def log_sum(terms: Sequence[jax.Array]) -> jax.Array:
    """The logarithm of the sum of exponentials; -inf, without a gradient, where all are -inf."""
    largest = lax.stop_gradient(jnp.max(jnp.stack(terms), 0))
    shift = jnp.where(jnp.isfinite(largest), largest, 0)
    total = jnp.sum(jnp.exp(jnp.stack(terms) - shift), 0)
    some = total > 0
    return jnp.where(some, jnp.log(jnp.where(some, total, 1)) + shift, -jnp.inf)


def padded_targets(targets: jax.Array, lengths: jax.Array) -> jax.Array:
    """Labels as (N, S), from labels of that form or one after the other."""
    if targets.ndim == 2:
        return targets
    first = jnp.cumsum(lengths) - lengths
    return targets[jnp.minimum(first[:, None] + jnp.arange(targets.size), targets.size - 1)]


def ctc_negative_log_likelihood(
    log_probs: jax.Array,
    targets: jax.Array,
    input_lengths: jax.Array,
    target_lengths: jax.Array,
    blank: int,
) -> jax.Array:
    """Minus the log-probability of each of N label sequences, summed over all alignments.

    `log_probs` (T, N, C), `targets` (N, S). The recursion of Graves et al. (2006) over the labels with
    blanks before, between and behind them; inf where no alignment is long enough.
    """
    number, count = targets.shape
    states = jnp.arange(2 * count + 1)
    is_label = (states % 2 == 1) & (states < 2 * target_lengths[:, None])
    padded = jnp.pad(jnp.repeat(targets, 2, axis=1), ((0, 0), (0, 1)))
    labels = jnp.where(is_label, padded, blank)
    before = jnp.pad(labels, ((0, 0), (2, 0)), constant_values=blank)[:, :-2]
    skips = is_label & (labels != before)
    start = jnp.full((number, states.size), -jnp.inf, log_probs.dtype).at[:, 0].set(0)

    def step(
        alpha: jax.Array, given: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array | None]:
        time, log_prob = given
        one, two = (
            jnp.pad(alpha, ((0, 0), (back, 0)), constant_values=-jnp.inf)[:, : states.size]
            for back in (1, 2)
        )
        reached = log_sum([alpha, one, jnp.where(skips, two, -jnp.inf)])
        moved = reached + jnp.take_along_axis(log_prob, labels, 1)
        return jnp.where((time < input_lengths)[:, None], moved, alpha), None

    alpha, _ = lax.scan(step, start, (jnp.arange(len(log_probs)), log_probs))
    last = 2 * target_lengths[:, None]
    at_label = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), 1)
    ends = [jnp.take_along_axis(alpha, last, 1), jnp.where(last > 0, at_label, -jnp.inf)]
    return -log_sum(ends)[:, 0]


def ctc_loss(
    log_probs: jax.Array,
    targets: jax.Array,
    input_lengths: jax.Array | Sequence[int],
    target_lengths: jax.Array | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> jax.Array:
    """Loss of `log_probs` (T, N, C) or (T, C); the mean is over losses per label.

    The gradient is torch's: that of log-probabilities that a log_softmax made, i.e. the probabilities
    less the posteriors.
    """
    batched = log_probs.ndim == 3
    probs = log_probs if batched else log_probs[:, None]
    steps, lengths = (jnp.asarray(given).reshape(-1) for given in (input_lengths, target_lengths))
    labels = padded_targets(targets if batched else targets.reshape(1, -1), lengths)
    loss = ctc_negative_log_likelihood(probs, labels, steps, lengths, blank)
    inside = (jnp.arange(len(probs))[:, None] < steps)[..., None]
    loss = with_data(loss + jnp.sum(jnp.where(inside, jnp.exp(probs), 0), (0, 2)), loss)
    if zero_infinity:
        loss = jnp.where(jnp.isinf(loss), 0, loss)
    if reduction == "mean":
        return jnp.mean(loss / jnp.maximum(lengths, 1))
    return reduce_loss(loss if batched else loss[0], reduction)


class CTCLoss(Module):
    """Connectionist temporal classification."""

    def __init__(
        self,
        blank: int = 0,
        reduction: str = "mean",
        zero_infinity: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: jax.Array,
        targets: jax.Array,
        input_lengths: jax.Array | Sequence[int],
        target_lengths: jax.Array | Sequence[int],
    ) -> jax.Array:
        """The reduced loss."""
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
