"""The operations ferry knows, by family. A name that is in no record but is a function of
the prelude with torch's own signature needs no record: only its spelling changes.
"""

from __future__ import annotations

from ferry.translate.ops import Op
from ferry.translate.table import create, index, linalg, meta, nn, pointwise, reduce, shape

RECORDS: tuple[Op, ...] = (
    *create.RECORDS,
    *shape.RECORDS,
    *index.RECORDS,
    *reduce.RECORDS,
    *pointwise.RECORDS,
    *linalg.RECORDS,
    *nn.RECORDS,
    *meta.RECORDS,
)


def _by_name() -> dict[str, tuple[Op, ...]]:
    found: dict[str, tuple[Op, ...]] = {}
    for record in RECORDS:
        for name in record.answers_to():
            found[name] = (*found.get(name, ()), record)
    return found


OPERATIONS = _by_name()
ATTRIBUTES = meta.ATTRIBUTES
DTYPES = meta.DTYPES
CONSTANTS = meta.CONSTANTS
CLASSES = meta.CLASSES
