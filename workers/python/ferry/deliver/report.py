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
        _parts(result),
        _switches(report.get("switches") or {}),
        _listed("Assumptions", (_placed(a, "text") for a in result.get("assumptions") or [])),
        _listed("Refused constructs", (_placed(r, "why") for r in result.get("refusals") or [])),
        _listed("Holes", map(_hole, result.get("holes") or [])),
        _bundle_tests(cases, fixed_float32),
        _contract(report.get("contract") or {}),
        _table("Versions", report.get("versions") or {}),
        _table("Seeds", report.get("seeds") or {}),
        _table("Confinement", report.get("confinement") or {}),
        _table("Usage", report.get("usage") or {}),
        _speed(report.get("speed")),
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


def _switches(switches: Json) -> str:
    """The layers of the idiomatic style, and those that it had to take back."""
    made = [[s.get("from"), s.get("to"), *_made_at(s), ""] for s in switches.get("made") or []]
    back = [
        [s.get("from"), s.get("to"), *_made_at(s), f"taken back: {s.get('reason')}"]
        for s in switches.get("taken_back") or []
    ]
    head = ["source", "port", "where", "modules", ""]
    return (
        _section("Switches of the idiomatic style", _rows(head, made + back)) if made + back else ""
    )


def _made_at(switch: Json) -> list[str]:
    return [str(switch.get("id")), ", ".join(switch.get("modules") or [])]


def _parts(result: Json) -> str:
    """A row for each class, by itself or as the whole's proof has it."""
    rows = [
        [
            part.get("class"),
            f"{part.get('file')}:{part.get('line')}",
            part.get("instances"),
            part.get("verdict") or "not run",
            {"whole": "with the whole", "part": "by itself"}.get(str(part.get("proven_by"))),
            part.get("score"),
            _why(part),
        ]
        for part in result.get("parts") or []
    ]
    head = ["class", "place", "instances", "verdict", "proven", "stages passed", "why not"]
    return _section("Classes", _rows(head, rows)) if rows else ""


def _why(part: Json) -> str:
    """What stands in the way of a class."""
    found = part.get("first_difference")
    if part.get("holes"):
        return f"needs {', '.join(part['holes'])}"
    if found:
        error = (found.get("error") or {}).get("message")
        return f"{found.get('stage')}: {error or found.get('tensor')}"
    return str(part.get("why") or "")


def _hole(hole: Json) -> str:
    """A hole with the types of what goes in and out."""
    inputs = ", ".join(f"{item.get('name')}: {_typed(item)}" for item in hole.get("inputs") or [])
    outputs = ", ".join(_typed(item) for item in hole.get("outputs") or [])
    return f"`{hole.get('id')}` ({inputs}) → {outputs or 'nothing that was seen'}"


def _typed(item: Json) -> str:
    """``float32[?, 4]`` for a tensor, else the kind; ``?`` is an axis whose size varied."""
    if item.get("kind") != "tensor":
        return str(item.get("kind") or "not seen")
    shape = item.get("shape")
    sizes = "…" if shape is None else ", ".join("?" if n is None else str(n) for n in shape)
    return f"{item.get('dtype') or 'tensor'}[{sizes}]"


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


def _speed(speed: Json | None) -> str:
    """How the port compares with its source, where both were timed."""
    if not speed:
        return ""
    text = (
        f"One float32 forward on the first recorded input took {1e3 * speed['torch_eager_s']:.3g} ms"
        f" in PyTorch (eager) and {1e3 * speed['jax_jit_s']:.3g} ms in JAX (`nnx.jit`, compiled),"
        f" each in its sandbox: {speed['ratio']:.2f} times as fast. No part of the proof."
    )
    return _section("Speed", text)


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
