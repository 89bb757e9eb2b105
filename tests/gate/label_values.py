"""What both sides of the labelling share: trees of values, distances, and the masks of dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Tree = Any
Array = np.ndarray[Any, Any]

#: A tensor counts as at least this share of the largest one beside it.
SHARE = 1e-3


def leaves(tree: Tree, path: str = "") -> dict[str, Any]:
    """The leaves of nested sequences and mappings by path; a sequence's length shows in it."""
    if isinstance(tree, tuple | list):
        items = [(f"{i}of{len(tree)}", value) for i, value in enumerate(tree)]
    elif isinstance(tree, Mapping):
        items = [(str(key), value) for key, value in tree.items()]
    else:
        return {path: tree}
    return {p: leaf for key, value in items for p, leaf in leaves(value, f"{path}/{key}").items()}


def distance(expected: Tree, actual: Tree) -> float:
    """The largest difference of two trees, relative to the range of each expected tensor."""
    wanted = {path: np.asarray(leaf) for path, leaf in leaves(expected).items() if leaf is not None}
    found = {path: np.asarray(leaf) for path, leaf in leaves(actual).items() if leaf is not None}
    if set(wanted) != set(found):
        return float("inf")
    largest = max((_range(leaf) for leaf in wanted.values()), default=0.0)
    return max((_gap(leaf, found[path], largest) for path, leaf in wanted.items()), default=0.0)


def _gap(expected: Array, actual: Array, largest: float) -> float:
    if expected.shape != actual.shape or _sort(expected) != _sort(actual):
        return float("inf")
    if expected.dtype.kind in "USO" or _sort(expected) != "float":
        return 0.0 if np.array_equal(expected, actual) else float("inf")
    finite = np.isfinite(expected)
    odd = np.array_equal(expected[~finite], actual[~finite], equal_nan=True)
    if not odd or not np.isfinite(actual[finite]).all():
        return float("inf")
    gap = float(np.abs(expected[finite] - actual[finite]).max(initial=0.0))
    return gap / (max(_range(expected), SHARE * largest) or 1.0)


def _sort(value: Array) -> str:
    kind: str = value.dtype.kind
    return {"f": "float", "i": "int", "u": "int"}.get(kind, kind)


def _range(value: Array) -> float:
    if value.dtype.kind != "f":
        return 0.0
    return float(np.abs(value[np.isfinite(value)]).max(initial=0.0))


class Masks:
    """The keep-masks of dropout in the order in which they are asked for, the same on both sides."""

    def __init__(self) -> None:
        self._count = 0

    def next(self, keep: float, shape: tuple[int, ...]) -> Array:
        self._count += 1
        kept: Array = np.random.default_rng(self._count).random(shape) < keep
        return kept
