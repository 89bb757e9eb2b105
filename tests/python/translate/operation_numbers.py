"""Numbers that both sides of the generated tests of operations use; neither torch nor jax is imported."""

from __future__ import annotations

from typing import Any

import numpy as np


def cotangent(shape: tuple[int, ...], index: int) -> np.ndarray:
    """The weights by which output number `index` enters the scalar that is differentiated."""
    count = int(np.prod(shape))
    return np.cos(np.arange(count) * 0.7 + 1.0 + index).reshape(shape)


def leaves(value: Any) -> list[Any]:
    """Arrays and numbers of an output in order."""
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]
