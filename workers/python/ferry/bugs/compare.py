"""How far two trees of arrays are apart, by the contract's measure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ferry.oracle.trees import Leaves, stored

# Below this two float64 results are the same rule (docs/contract.md).
TOLERANCE = 1e-9
# A mutant explains a candidate that it meets this well, relative to the tensor's range,
AGREES = 1e-6
# and by this share of what the source is away, so that a small difference needs a close mutant.
SHARE = 1e-3
# A tensor's range is at least this share of the largest one beside it.
BESIDE = 1e-3


def explains(mutant: float, source: float) -> bool:
    """Whether a mutant at distance `mutant` names the bug of a candidate at `source`."""
    return source > TOLERANCE and mutant <= min(AGREES, SHARE * source)


def distance(found: Leaves, reference: Leaves) -> float:
    """The largest error of any leaf; infinite where names, shapes or special values differ."""
    if found.keys() != reference.keys():
        return math.inf
    floor = BESIDE * max((_range(leaf) for leaf in reference.values()), default=0.0)
    errors = [_error(found[name], leaf, floor) for name, leaf in reference.items()]
    return max(errors, default=0.0)


def _range(leaf: Tensor) -> float:
    finite = _plain(leaf)
    finite = finite[torch.isfinite(finite)].abs()
    return float(finite.max()) if finite.numel() else 0.0


def _plain(leaf: Tensor) -> Tensor:
    return stored(leaf).double()


def _error(found: Tensor, reference: Tensor, floor: float) -> float:
    a, b = _plain(found), _plain(reference)
    if a.shape != b.shape:
        return math.inf
    special = ~torch.isfinite(a) | ~torch.isfinite(b)
    if not torch.equal(_marks(a[special]), _marks(b[special])):
        return math.inf
    if bool(special.all()):
        return 0.0
    error = float((a - b)[~special].abs().max())
    return error / (max(_range(b), floor) or 1.0)


def _marks(values: Tensor) -> Tensor:
    """Special values as finite marks: NaN meets any NaN, infinities their own sign."""
    return torch.nan_to_num(values, nan=2.0, posinf=3.0, neginf=-3.0)
