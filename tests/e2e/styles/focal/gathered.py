"""By log_softmax and a gather."""

import jax
import jax.numpy as jnp


def focal_loss(logits, target, weight, gamma=2.0):
    log_p = jax.nn.log_softmax(logits, -1)
    own = jnp.take_along_axis(log_p, target[:, None], -1)[:, 0]
    raw = -(0.9 * own + 0.1 * log_p.mean(-1))
    loss = (1 - jnp.exp(-raw)) ** gamma * raw * weight[target]
    return {"mean": loss.sum() / weight[target].sum(), "each": loss}
