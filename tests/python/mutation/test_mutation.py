"""A broken record of the operation tables is noticed by the generated operation tests.

Every `EVERY`th mutant is tried; `tests/bench/mutation.py` tries all, and those of the rules.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from equivalent import EQUIVALENT, why_equivalent
from ferry.translate.ops import Op
from ferry.translate.table import RECORDS
from record_mutants import of_records
from record_runs import killers

EVERY = 15


def test_a_broken_record_is_noticed(tmp_path: Path) -> None:
    killed = killers(of_records(RECORDS)[::EVERY], tmp_path)
    assert [name for name, by in killed.items() if not by and not why_equivalent(name)] == []


@pytest.mark.parametrize("kind, field, value", [
    ("swap", "to", "jnp.f({other}, {input}{dim?, axis=%}, 2)"),
    ("drop", "to", "jnp.f({input}, {other}, 2)"),
    ("constant", "to", "jnp.f({input}, {other}{dim?, axis=%}, 3)"),
    ("unconditional", "when", ""),
    ("gone", "when", "no_such_argument"),
])  # fmt: skip
def test_mutants_of_a_record(kind: str, field: str, value: str) -> None:
    record = Op(
        "torch.f", "input other dim=None", "jnp.f({input}, {other}{dim?, axis=%}, 2)", "dim"
    )
    (mutant,) = [m for m in of_records([record]) if m.kind == kind]
    with mutant.applied():
        assert getattr(record, field) == value
    assert (record.to, record.when) == ("jnp.f({input}, {other}{dim?, axis=%}, 2)", "dim")


def test_equivalents_name_mutants() -> None:
    names = [m.name for m in of_records(RECORDS)]
    assert [
        p for p in EQUIVALENT if not any(why_equivalent(n) == EQUIVALENT[p] for n in names)
    ] == []
