"""REPORT.md: the report of a job in words, what was proven first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

VERDICTS = {
    "equal": "Proven: {name} in JAX computes what its PyTorch source computes, in every stage that"
    " was run.",
    "equal_under_assumptions": "Proven under assumptions (below): {name} in JAX computes what its"
    " PyTorch source computes.",
    "differs": "Not equal: {name} in JAX does not compute what its PyTorch source computes.",
    "refused": "Not migrated: {name} has a construct that can't be translated.",
    "vacuous": "Nothing proven: the output of {name} reacts to nothing, so any answer would pass.",
    "source_error": "Nothing proven: the source of {name} could not be run.",
}


def report_text(report: Json, plan: Json, cases: Sequence[Json], fixed_float32: str | None) -> str:
    """The Markdown text; fields that `report` lacks are left out."""
    result = report.get("result") or {}
    name = plan["entry"]["name"]
    verdict = VERDICTS.get(str(result.get("verdict")), "Nothing proven about {name}.").format(
        name=name
    )
    parts = [
        _opening(verdict, result),
        f"# {name}: report of the migration",
        _stages(result),
        _difference(result),
        _listed("Assumptions", (_placed(a, "text") for a in result.get("assumptions") or [])),
        _listed("Refused constructs", (_placed(r, "why") for r in result.get("refusals") or [])),
        _bundle_tests(cases, fixed_float32),
        _contract(report.get("contract") or {}),
        _table("Versions", report.get("versions") or {}),
        _table("Seeds", report.get("seeds") or {}),
        _table("Confinement", report.get("confinement") or {}),
        _table("Usage", report.get("usage") or {}),
        _listed("Notes", (_sentence(note) for note in report.get("notes") or [])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(verdict: str, result: Json) -> str:
    """Three lines: what was proven, in which stages, and what was not."""
    stages = result.get("stages") or []
    passed = [stage["name"] for stage in stages if stage.get("status") == "passed"]
    left = [f"{s['name']} ({s['status']})" for s in stages if s.get("status") != "passed"]
    return "  \n".join(
        [
            verdict,
            f"Passed: {', '.join(passed) or 'no stage'}.",
            f"Not passed or not run: {', '.join(left) or 'none'}.",
        ]
    )


def _stages(result: Json) -> str:
    rows = []
    figures_of = ("max_error", "tolerance", "cases", "tensors")
    for stage in result.get("stages") or []:
        figures = [_number(stage.get(key)) for key in figures_of]
        rows.append([stage.get("name"), stage.get("status"), *figures])
    head = ["stage", "status", "largest error", "tolerance", "cases", "tensors"]
    return _section("Stages", _rows(head, rows)) if rows else ""


def _difference(result: Json) -> str:
    found = result.get("first_difference")
    if not found:
        return ""
    where = found.get("path") or "the output"
    text = (
        f"In stage {found.get('stage')}, at {where}, tensor {found.get('tensor')}: error "
        f"{_number(found.get('max_error'))}, allowed {_number(found.get('tolerance'))}, "
        f"index {found.get('index')}."
    )
    bug = found.get("bug")
    if bug:
        text += f" It looks like {bug.get('title')}: {bug.get('rule')}"
    return _section("First difference", text)


def _bundle_tests(cases: Sequence[Json], fixed_float32: str | None) -> str:
    """What the bundle's own tests repeat, and what they leave out."""
    kinds = [f"{case['kind']} in {case['dtype']} ({case['id']})" for case in cases]
    text = f"`python -m pytest -q tests` repeats: {', '.join(kinds) or 'no case'}."
    if fixed_float32:
        text += (
            f" The float64 cases are left out: the model fixes float32 at {fixed_float32}, which"
            " the proof widened and a plain test can't."
        )
    text += " Training mode and cases that draw at random were part of the proof only."
    return _section("Tests in this bundle", text)


def _contract(contract: Json) -> str:
    tolerances = contract.get("tolerances") or {}
    rows = [[key, _number(value)] for key, value in contract.items() if key != "tolerances"]
    rows += [[f"tolerance {key}", _number(value)] for key, value in tolerances.items()]
    return _section("Contract", _rows(["what", "value"], rows)) if rows else ""


def _table(title: str, values: Json) -> str:
    rows = [[key, _sentence(value)] for key, value in values.items()]
    return _section(title, _rows(["what", "value"], rows)) if rows else ""


def _listed(title: str, items: Iterator[str]) -> str:
    lines = [f"* {item}" for item in items]
    return _section(title, "\n".join(lines)) if lines else ""


def _placed(item: Any, key: str) -> str:
    """One assumption or refusal with its place in the source."""
    if not isinstance(item, Mapping):
        return _sentence(item)
    place = f" ({item['file']}:{item.get('line')})" if item.get("file") else ""
    code = f"`{item['code']}`: " if item.get("code") else ""
    return f"{code}{item.get(key) or item.get('text') or ''}{place}"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _rows(head: list[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def _sentence(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_sentence(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_sentence(item) for item in value)
    return _number(value)
