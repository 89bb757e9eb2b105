import jax
import jax.numpy as jnp
import optax
from jax.scipy.special import xlogy


def norm(x):
    return jnp.sqrt(jnp.square(x + 1e-3).sum(1))


def criterion(pred, target, labels):
    bce = optax.sigmoid_binary_cross_entropy(pred, labels).mean()
    gap = jnp.abs(pred - target)
    inside = gap < 0.5
    smooth = jnp.where(inside, 0.5 * gap**2 / 0.5, gap - 0.25).mean()
    huber = jnp.where(inside, 0.5 * gap**2, 0.5 * (gap - 0.25)).sum()
    p, q = jax.nn.softmax(target, 1), jax.nn.log_softmax(pred, 1)
    kl = (xlogy(p, p) - p * q).sum() / pred.shape[0]
    lengths = jnp.linalg.norm(pred, axis=1) * jnp.linalg.norm(target, axis=1)
    near = (pred * target).sum(1) / jnp.maximum(lengths, 1e-8)
    triplet = jax.nn.relu(norm(pred - target) - norm(pred - pred[::-1]) + 2.0).mean()
    return {
        "bce": bce,
        "smooth": smooth,
        "huber": huber,
        "kl": kl,
        "near": near,
        "triplet": triplet,
    }
