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


def difference(
    operation: str, expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]
) -> str:
    """Where a call's arrays are not torch's; empty where they are. Empty tensors have no values."""
    for name, wanted in expected.items():
        if name not in actual:
            return f"{name} is missing"
        found = actual[name]
        if found.shape != wanted.shape:
            return f"{name}: shape {found.shape}, not {wanted.shape}"
        if _type(found) != _type(wanted):
            return f"{name}: {found.dtype}, not {wanted.dtype}"
        if "empty" in operation:
            continue
        finite = np.isfinite(wanted)
        scale = max(float(np.abs(wanted[finite]).max(initial=0.0)), 1e-3)
        close = np.isclose(found, wanted, rtol=1e-9, atol=1e-11 * scale, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            return f"{name}{list(at)}: {found[at]}, not {wanted[at]}"
    extra = {n for n in actual if n.startswith("out/")} - set(expected)
    return f"{sorted(extra)} too many" if extra else ""


def _type(array: np.ndarray) -> str:
    """A dtype up to the width of the wide integers, which jax keeps narrower."""
    return "integer" if array.dtype in ("int32", "int64") else str(array.dtype)
