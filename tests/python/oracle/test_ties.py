"""Orders among equal values are torch's own business, so no case may depend on one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from ferry.oracle.draws import Draws
from torch import Tensor

DISTINCT = [3.0, 1.0, 2.0, 0.5]
TIED = [3.0, 1.0, 1.0, 0.5]


def tied(values: list[float], order: Callable[[Tensor], object]) -> bool:
    with Draws() as draws:
        order(torch.tensor(values))
    return draws.tied


@pytest.mark.parametrize(
    ("values", "order", "expected"),
    [
        (DISTINCT, lambda x: torch.topk(x, 2), False),
        (TIED, lambda x: torch.topk(x, 2), True),  # either of the two could be the second
        (TIED, lambda x: torch.topk(x, 1), False),  # the tie is below the border
        (TIED, lambda x: torch.topk(x, 1, largest=False), False),
        (TIED, lambda x: torch.topk(x, 2, largest=False), True),
        (TIED, torch.sort, True),
        (TIED, torch.argsort, True),
        (TIED, lambda x: torch.sort(x, stable=True), False),  # a stable order is defined
        (DISTINCT, torch.sort, False),
        ([1.0, 1e-40, 0.0], lambda x: torch.topk(x, 2), True),  # a subnormal number is XLA's zero
        (TIED, lambda x: x.sum(), False),
    ],
)
def test_ties(values: list[float], order: Callable[[Tensor], object], expected: bool) -> None:
    assert tied(values, order) is expected
