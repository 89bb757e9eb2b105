"""Each rule names a candidate whose output was computed without its mutation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bug_cases import Case, all_cases
from ferry.bugs.document import page
from ferry.bugs.table import RULES

ROOT = Path(__file__).resolve().parents[3]
NUMBERED = [pytest.param(str(n), c, id=c.name) for n, c in enumerate(all_cases())]


def test_every_rule_has_a_case() -> None:
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes)) >= 60
    assert {case.code for case in all_cases()} == set(codes)


@pytest.mark.parametrize(("key", "case"), NUMBERED)
def test_named(key: str, case: Case, captured: Any, request: pytest.FixtureRequest) -> None:
    own = captured(case)
    if isinstance(case.wrong, str):
        values = request.getfixturevalue("jax_values")[key]
    elif case.stage is None:
        values = case.wrong(own.inputs(), own.weights())
    else:
        found = _of_stage(own, case)
        assert found["bug"] is not None and found["bug"]["code"] == case.code
        return
    found = own.at(values, *case.place)
    assert found["bug"] is not None and found["bug"]["code"] == case.code


def _of_stage(own: Any, case: Case) -> Any:
    planned = own.case(case.stage)["id"]
    assert not isinstance(case.wrong, str)
    values = case.wrong(own.arrays(planned), own.weights())
    located = {f"{planned}/{name}": torch.as_tensor(value) for name, value in values.items()}
    return own.named(located, {"case": planned})


def test_the_page_is_the_table() -> None:
    written = (ROOT / "docs" / "bugs.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m ferry.bugs.document > docs/bugs.md"
