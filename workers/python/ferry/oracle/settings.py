"""The recipe of an oracle: how much is drawn and which stages are asked for (steps.md, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# batch sizes of the input sets of a whole recipe
BATCHES = (3, 5, 2)


@dataclass(frozen=True)
class Recipe:
    """What a request asks for. Without the keys of the whole contract it is the narrow one."""

    seed: int
    draws: int
    inputs: int
    train_steps: int
    scales: tuple[float, ...]
    resize: int
    optimizer_steps: int
    whole: bool

    @classmethod
    def of(cls, given: Json | None) -> Recipe:
        """The recipe of a request."""
        given = given or {}
        return cls(
            seed=int(given.get("seed") or 0),
            draws=int(given.get("draws") or 2),
            inputs=int(given.get("inputs") or 2),
            train_steps=int(given.get("train_steps") or 2),
            scales=tuple(map(float, given.get("scales") or (1.0,))),
            resize=int(given.get("resize") or 0),
            optimizer_steps=int(given.get("optimizer_steps") or 0),
            whole=any(given.get(key) for key in ("scales", "resize", "optimizer_steps")),
        )

    def scale(self, index: int) -> float:
        """The factor for the floating inputs of set `index`."""
        return self.scales[index % len(self.scales)]

    def batch(self, index: int) -> int:
        """The batch size that set `index` has where the source accepts it."""
        return BATCHES[index % len(BATCHES)]
