"""Many runs of a candidate in cases whose recorded draws it can't replay (steps.md, 5c and 7).

The candidate draws on its own, from streams whose keys follow from the number of the run. Of
each tensor the block of elements is kept that the source's samples have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferry.check.cases import Cases
from ferry.check.oracle import Oracle
from ferry.check.tensors import Array


def sample(cases: Cases, oracle: Oracle, wanted: Mapping[str, Any]) -> None:
    """Leave in `cases.arrays` what `wanted["runs"]` runs gave, stacked.

    `wanted["cases"]` says of each case which elements of which tensors are kept. A tensor that
    the candidate does not give in the source's shape is left out.
    """
    found: dict[str, Array] = {}
    for identity, keep in wanted["cases"].items():
        case = oracle.case(identity)
        rows: dict[str, list[Array]] = {name: [] for name in keep}
        cases.expect(case, times=wanted["runs"])
        for number in range(wanted["runs"]):
            cases.arrays.clear()
            with oracle.drawing_freely(wanted["seed"] + number):
                cases.run_freely(case)
            for name, block in keep.items():
                array = cases.arrays.get(f"{identity}/{name}")
                if array is not None and list(_stored(array).shape) == block["shape"]:
                    rows[name].append(_block(_stored(array), block["axes"]))
        stacked = {n: np.stack(row) for n, row in rows.items() if len(row) == wanted["runs"]}
        found.update({f"{identity}/{name}": array for name, array in stacked.items()})
    cases.arrays.clear()
    cases.arrays.update(found)


def _stored(array: Array) -> Array:
    """Complex numbers as the pairs of floats that the oracle stores."""
    if not np.iscomplexobj(array):
        return array
    return np.stack([array.real, array.imag], axis=-1)


def _block(array: Array, axes: Sequence[Sequence[int]]) -> Array:
    return array[np.ix_(*axes)] if axes else array
