from dataclasses import dataclass

from flax import nnx


@dataclass
class Config:
    width: int = 6


class Head(nnx.Module):
    def __init__(self, width, *, rngs):
        self.fc = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, x):
        return self.fc(x)


class Model(nnx.Module):
    def __init__(self, config, act, norm, head, *, rngs):
        self.act = act
        self.norm = norm(config.width)
        self.head = head

    def __call__(self, x):
        return self.head(self.act(self.norm(x)))
