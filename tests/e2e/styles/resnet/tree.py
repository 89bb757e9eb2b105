"""Objects as trees of arrays with torch's layout, one example at a time under vmap."""

import dataclasses

import jax
import jax.numpy as jnp


def tree_class(cls):
    return jax.tree_util.register_dataclass(dataclasses.dataclass(cls))


@tree_class
class Conv:
    weight: jax.Array
    bias: jax.Array | None = None
    stride: int = dataclasses.field(default=1, metadata={"static": True})

    def __call__(self, x):
        pad = self.weight.shape[-1] // 2
        y = jax.lax.conv_general_dilated(
            x[None], self.weight, (self.stride,) * 2, ((pad, pad),) * 2
        )[0]
        return y if self.bias is None else y + self.bias[:, None, None]


@tree_class
class GroupNorm:
    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        groups = x.reshape(2, -1)
        mean, var = groups.mean(1, keepdims=True), groups.var(1, keepdims=True)
        y = ((groups - mean) / jnp.sqrt(var + 1e-5)).reshape(x.shape)
        return y * self.weight[:, None, None] + self.bias[:, None, None]


@tree_class
class Linear:
    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return self.weight @ x + self.bias


@tree_class
class Block:
    first: Conv
    first_norm: GroupNorm
    second: Conv
    second_norm: GroupNorm
    shortcut: Conv | None
    shortcut_norm: GroupNorm | None

    def __call__(self, x):
        kept = x if self.shortcut is None else self.shortcut_norm(self.shortcut(x))
        x = jax.nn.relu(self.first_norm(self.first(x)))
        return jax.nn.relu(self.second_norm(self.second(x)) + kept)


@tree_class
class Model:
    stem: Conv
    blocks: list[Block]
    fc: Linear

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((1, 2)))


def norm(width):
    return GroupNorm(jnp.ones(width), jnp.zeros(width))


def block(planes, width, stride):
    changes = stride != 1 or planes != width
    return Block(
        Conv(jnp.zeros((width, planes, 3, 3)), stride=stride),
        norm(width),
        Conv(jnp.zeros((width, width, 3, 3))),
        norm(width),
        Conv(jnp.zeros((width, planes, 1, 1)), stride=stride) if changes else None,
        norm(width) if changes else None,
    )


def make():
    stem = Conv(jnp.zeros((4, 2, 3, 3)), jnp.zeros(4))
    head = Linear(jnp.zeros((3, 6)), jnp.zeros(3))
    return Model(stem, [block(4, 4, 1), block(4, 6, 2)], head)
