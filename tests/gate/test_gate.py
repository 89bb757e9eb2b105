"""What the gate makes of verdicts: which fail it, and how they are counted."""

from __future__ import annotations

import pytest
from gate import SMALL_BUGS, SMALL_RIGHT, Row, document, jobs, small, summary
from suite import Candidate, candidates, load


def row(kind: str, verdict: str, stage: str | None = None) -> Row:
    first = None if stage is None else {"stage": stage, "bug": {"code": "some_bug"}}
    stages = [{"name": "weights"}, {"name": "forward_f64"}, {"name": "gradients"}]
    result = {
        "verdict": verdict,
        "reason": "differs",
        "first_difference": first,
        "stages": stages,
    }
    return Row(Candidate("net", kind, kind, "a rule", "", None), result)


@pytest.mark.parametrize(
    ("kind", "verdict", "good"),
    [
        ("port", "equal", True),
        ("rewrite", "equal_under_assumptions", True),
        ("port", "differs", False),
        ("rewrite", "vacuous", False),
        ("bug", "differs", True),
        ("bug", "equal", False),
        ("bug", "equal_under_assumptions", False),
        ("bug", "source_error", False),  # it says nothing about the candidate
        ("precision", "equal", True),
        ("precision", "differs", True),
    ],
)
def test_a_verdict_fails_the_gate_where_it_is_not_the_label(
    kind: str, verdict: str, good: bool
) -> None:
    assert row(kind, verdict).good is good


def test_the_table_counts_by_stage_in_the_order_of_stages() -> None:
    rows = [
        row("port", "equal"),
        row("bug", "differs", "gradients"),
        row("bug", "differs", "weights"),
        row("bug", "equal"),
        row("precision", "differs", "gradients"),
    ]
    lines = summary(rows)
    assert lines[0] == "* Seeded bugs: 3, detected 2 (66.7 %)."
    assert lines[1] == "* Precision-only bugs: 1, detected 1."
    assert lines[2] == "* Correct ports and rewrites: 1, rejected 0."
    assert lines[-3:] == [
        "| `weights` | 1 | 0 |",
        "| `gradients` | 1 | 1 |",
        "| `accepted` | 1 | 0 |",
    ]
    page = document(rows)
    assert "| net | 1 | 1 | 4 | 3 | `weights` 1, `gradients` 2 | 3 |" in page
    assert "* `net/bug` (bug: a rule): equal at `accepted`" in page


def test_each_port_with_a_map_is_sent_without_it_too() -> None:
    models = load()
    known = [candidate for _, candidate in candidates(models)]
    added = [candidate for _, candidate in jobs(models) if candidate not in known]
    ports = [m.candidates[0] for m in models if m.candidates[0].weights is not None]
    assert [(c.model, c.text, c.weights) for c in added] == [(p.model, p.text, None) for p in ports]
    assert all(c.right for c in added)


def test_the_small_form_is_fixed_and_has_all_kinds() -> None:
    pairs = list(jobs(load()))
    chosen = small(pairs)
    assert chosen == small(pairs)
    kinds = [candidate.kind for _, candidate in chosen]
    assert kinds.count("bug") == SMALL_BUGS
    assert kinds.count("port") + kinds.count("rewrite") == SMALL_RIGHT
    assert kinds.count("precision") == 1
