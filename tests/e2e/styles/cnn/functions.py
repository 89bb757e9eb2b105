"""A tree of parameters in torch's layout, plain functions, statistics handed through."""

import jax
import jax.numpy as jnp


def norm_parameters():
    return {"gamma": jnp.ones(8), "beta": jnp.zeros(8)}


def norm_statistics():
    return {"moving_mean": jnp.zeros(8), "moving_var": jnp.ones(8)}


def init(classes=5):
    params = {
        "conv1": {"w": jnp.zeros((8, 3, 3, 3)), "b": jnp.zeros(8)},
        "norm1": norm_parameters(),
        "conv2": {"w": jnp.zeros((8, 8, 3, 3))},
        "norm2": norm_parameters(),
        "out": {"w": jnp.zeros((8, classes)), "b": jnp.zeros(classes)},
    }
    return {"params": params, "stats": {"norm1": norm_statistics(), "norm2": norm_statistics()}}


def channels(v):
    return v[:, None, None]


def normalize(x, p, s, train):
    mean, var = s["moving_mean"], s["moving_var"]
    if train:
        count = x.size // 8
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        s = {
            "moving_mean": 0.9 * s["moving_mean"] + 0.1 * mean,
            "moving_var": 0.9 * s["moving_var"] + 0.1 * var * count / (count - 1),
        }
    x = (x - channels(mean)) * channels(jax.lax.rsqrt(var + 1e-5))
    return x * channels(p["gamma"]) + channels(p["beta"]), s


def conv(x, w, stride):
    return jax.lax.conv_general_dilated(x, w, (stride, stride), ((1, 1), (1, 1)))


def forward(tree, x, train):
    p, stats = tree["params"], {}
    x = conv(x, p["conv1"]["w"], 1) + channels(p["conv1"]["b"])
    x, stats["norm1"] = normalize(x, p["norm1"], tree["stats"]["norm1"], train)
    x = jax.nn.relu(x)
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    x, stats["norm2"] = normalize(
        conv(x, p["conv2"]["w"], 2), p["norm2"], tree["stats"]["norm2"], train
    )
    y = jax.nn.relu(x).mean((2, 3)) @ p["out"]["w"] + p["out"]["b"]
    return y, {"params": p, "stats": stats}
