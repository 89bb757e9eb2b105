"""The verdict gate: every candidate of the suite as a `verify` job of a real daemon.

    python tests/gate/gate.py [--small] [--models NAME …] [--table] [--json OUT]

Prints what each job ended with and a table by stage: where the bugs were caught. Exit status 1
where a bug other than a precision-only one is accepted, or a correct port or rewrite is not.
`--small` takes every tenth bug and a few correct ones, always the same; `--table` writes
docs/gate.md. What is right and what is wrong is proven by label.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from suite import Candidate, Model, candidates, load

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from ferryd import PROVEN, Daemon  # noqa: E402

TABLE = ROOT / "docs" / "gate.md"
SMALL_BUGS, SMALL_RIGHT = 14, 8
WINDOW = 8

Json = dict[str, Any]
Pair = tuple[Model, Candidate]


@dataclass(frozen=True)
class Row:
    """A candidate and the result of its job."""

    candidate: Candidate
    result: Json

    @property
    def accepted(self) -> bool:
        return self.result["verdict"] in PROVEN

    @property
    def good(self) -> bool:
        """Whether the verdict is the label; a precision-only bug may be accepted."""
        if self.candidate.right:
            return self.accepted
        return self.result["verdict"] == "differs" or self.candidate.kind == "precision"

    @property
    def wrong(self) -> bool:
        """Whether the verdict is not the label, a precision-only bug's included."""
        return self.accepted != self.candidate.right

    @property
    def bug(self) -> str:
        """The code of the bug that the report names, or ""."""
        first = self.result.get("first_difference") or {}
        return str((first.get("bug") or {}).get("code") or "")

    @property
    def stage(self) -> str:
        """The stage that did not pass, "accepted" where all did."""
        if self.accepted:
            return "accepted"
        first = self.result.get("first_difference") or {}
        return str(first.get("stage") or self.result.get("reason") or self.result["verdict"])

    def line(self) -> str:
        first = self.result.get("first_difference") or {}
        sign = "ok " if self.good else "BAD"
        name = f"{self.candidate.model}/{self.candidate.name}"
        error = first.get("error") or self.result.get("error") or {}
        more = self.bug if self.good else f"{self.bug} {error.get('message') or ''}".strip()
        verdict = f"{self.result['verdict']:<24} {self.stage:<14}"
        return f"{sign} {self.candidate.kind:<9} {name:<44} {verdict} {more[:120]}"


def jobs(models: Sequence[Model]) -> Iterator[Pair]:
    """What is submitted: every candidate, and each model's port once more without its map.

    The latter computes what the port computes, so the port's label is its label.
    """
    for model in models:
        yield from candidates([model])
        port = model.candidates[0]
        if port.weights is not None:
            rule = "the port, its map to be inferred"
            yield model, replace(port, name="mapless", kind="rewrite", rule=rule, weights=None)


def submit(daemon: Daemon, model: Model, candidate: Candidate) -> str:
    """The id of the candidate's job."""
    port: Json = {"files": [{"path": "model.py", "content": candidate.text}]}
    if candidate.weights is not None:
        port["weights"] = candidate.weights
    fields = {"kind": "verify", "entry": f"model:{model.entry}", "candidate": port}
    return str(daemon.submit(model.source, name=f"{model.name}/{candidate.name}", **fields)["id"])


def run(daemon: Daemon, pairs: Sequence[Pair]) -> Iterator[Row]:
    """Run all jobs, at most `WINDOW` of them submitted at a time; rows in the given order."""
    ids: list[str] = []
    for position, (_, candidate) in enumerate(pairs):
        for model, following in pairs[len(ids) : position + WINDOW]:
            ids.append(submit(daemon, model, following))
        job = daemon.wait(ids[position])
        yield Row(candidate, job["result"])


def small(pairs: Sequence[Pair]) -> list[Pair]:
    """A fixed part of the suite: bugs and correct candidates at even distances."""
    bugs = [pair for pair in pairs if pair[1].kind == "bug"]
    right = [pair for pair in pairs if pair[1].right]
    narrow = [pair for pair in pairs if pair[1].kind == "precision"]
    return [*spread(bugs, SMALL_BUGS), *spread(right, SMALL_RIGHT), *narrow[:1]]


def spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """`count` of the pairs at even distances."""
    return [pairs[i * len(pairs) // count] for i in range(min(count, len(pairs)))]


def summary(rows: Sequence[Row]) -> list[str]:
    """The figures of a run, as lines of Markdown."""
    bugs = [row for row in rows if row.candidate.kind == "bug"]
    narrow = [row for row in rows if row.candidate.kind == "precision"]
    right = [row for row in rows if row.candidate.right]
    lines = [
        f"* Seeded bugs: {len(bugs)}, detected {sum(row.good for row in bugs)} "
        f"({share(sum(row.good for row in bugs), len(bugs))}).",
        f"* Precision-only bugs: {len(narrow)}, detected {sum(not row.accepted for row in narrow)}.",
        f"* Correct ports and rewrites: {len(right)}, rejected "
        f"{sum(not row.accepted for row in right)}.",
        "",
        "| stage that caught it | bugs | precision-only bugs |",
        "| --- | ---: | ---: |",
    ]
    by_stage, narrow_by_stage = (Counter(row.stage for row in part) for part in (bugs, narrow))
    for stage in dict.fromkeys([*stages(rows), *by_stage, *narrow_by_stage]):
        if by_stage[stage] or narrow_by_stage[stage]:
            lines.append(f"| `{stage}` | {by_stage[stage]} | {narrow_by_stage[stage]} |")
    return lines


def stages(rows: Sequence[Row]) -> list[str]:
    """The stages in their order, as the daemon reports them."""
    return [stage["name"] for stage in max((row.result["stages"] for row in rows), key=len)]


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def document(rows: Sequence[Row]) -> str:
    """docs/gate.md."""
    lines = [
        "# The verdict gate",
        "",
        "Seeded translation bugs, correct ports and legitimate rewrites of small PyTorch models, each a",
        "`verify` job (`tests/gate/`). Every label is proven by `tests/gate/label.py`, which shares no code",
        "with the oracle, the check or the comparison. This page is written by",
        "`tests/gate/gate.py --table`.",
        "",
        *summary(rows),
        "",
        "| model | right | accepted | bugs | detected | caught at | named |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: |",
        *(model_row(name, list(part)) for name, part in groupby(rows, by_model)),
        "",
        "## Verdicts that are not the label",
        "",
        *([mistake(row) for row in rows if row.wrong] or ["None."]),
        "",
    ]
    return "\n".join(lines)


def by_model(row: Row) -> str:
    return row.candidate.model


def model_row(name: str, rows: Sequence[Row]) -> str:
    """One model's line of the table; precision-only bugs count as bugs in it."""
    right = [row for row in rows if row.candidate.right]
    bugs = [row for row in rows if not row.candidate.right]
    caught = [row for row in bugs if not row.accepted]
    at = Counter(row.stage for row in caught)
    where = ", ".join(f"`{stage}` {at[stage]}" for stage in stages(rows) if at[stage])
    named = sum(bool(row.bug) for row in caught)
    accepted = sum(row.accepted for row in right)
    return (
        f"| {name} | {len(right)} | {accepted} | {len(bugs)} | {len(caught)} | {where} | {named} |"
    )


def mistake(row: Row) -> str:
    candidate = row.candidate
    name = f"{candidate.model}/{candidate.name}"
    return (
        f"* `{name}` ({candidate.kind}: {candidate.rule}): {row.result['verdict']} at `{row.stage}`"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="the part that make test runs")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--table", action="store_true", help=f"write {TABLE.relative_to(ROOT)}")
    parser.add_argument("--json", type=Path, help="write all results as JSON")
    options = parser.parse_args()
    models = [m for m in load() if not options.models or m.name in options.models]
    pairs = list(jobs(models))
    pairs = small(pairs) if options.small else pairs
    started, rows = time.monotonic(), []
    with Daemon() as daemon:
        for row in run(daemon, pairs):
            rows.append(row)
            print(row.line(), flush=True)
    print("\n".join(summary(rows)))
    if options.table:
        TABLE.write_text(document(rows))
    if options.json:
        results = [
            {"name": f"{r.candidate.model}/{r.candidate.name}", "result": r.result} for r in rows
        ]
        options.json.write_text(json.dumps(results, indent=1))
    bad = sum(not row.good for row in rows)
    print(f"gate: {len(rows) - bad} passed, {bad} failed, {time.monotonic() - started:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
