"""The deliver step: tests, loader and report of a bundle.

Runs beside torch but imports neither torch nor jax: it only sorts arrays and writes text. Output
tensors: `weights` is a state_dict of the source, `cases` has inputs and expected outputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ferry.deliver import raw_tensors
from ferry.deliver.candidate_text import CandidateText
from ferry.deliver.raw_tensors import RawTensor
from ferry.deliver.render import test_file
from ferry.deliver.report import report_text
from ferry.step import Context, Json
from ferry.translate.changes import unified_diff

Tensors = Mapping[str, RawTensor]

#: Files that are delivered as they are; read at import, as a step has no files.
LOADER = Path(__file__).with_name("bundle").joinpath("load_weights.py").read_text("utf-8")
TORCH_NAMES = Path(__file__).parents[1].joinpath("check", "counterparts.py").read_text("utf-8")

#: What `report.json` calls the tolerances, with the values of the contract.
TOLERANCES = {"float64_relative": 1e-9, "float32_factor": 16.0, "float32_floor": 2.0**-20}


def run(ctx: Context) -> Json:
    """The entry of the step."""
    request = ctx.request
    plan, report = request["plan"], request.get("report") or {}
    text = CandidateText(request["candidate"])
    float32 = text.fixed_float32()
    cases = list(chosen_cases(plan, wide=float32 is None))
    given, expected = raw_tensors.read(ctx.read("given")), raw_tensors.read(ctx.read("expected"))
    ctx.write("weights", raw_tensors.write(state_dict(given, request.get("weights"))))
    tensors = case_tensors(cases, given, expected, mapped_parameters(request))
    ctx.write("cases", raw_tensors.write(tensors))
    files = {
        "load_weights.py": LOADER,
        "tests/data/cases.json": case_index(plan, cases, report),
        "REPORT.md": report_text(report, plan, cases, float32),
    }
    files.update(adapter_files(request) or test_files(plan, text))
    delivered = [{"path": path, "content": files[path]} for path in sorted(files)]
    return {"files": delivered, "diff": source_diff(request) if request.get("given") else None}


def test_files(plan: Json, text: CandidateText) -> dict[str, str]:
    """The bundle's test, and what it imports."""
    test, counterparts = test_file(plan, text)
    names = {"tests/torch_names.py": TORCH_NAMES} if counterparts else {}
    return {"tests/test_equivalence.py": test, **names}


def adapter_files(request: Json) -> dict[str, str]:
    """The caller's adapter: what it builds and calls, a plain test can't."""
    adapter = request.get("adapter")
    return {"adapter.py": adapter["content"]} if adapter else {}


def source_diff(request: Json) -> str:
    """The unified diff from the source's files to those of a candidate that was given."""
    old, new = (
        {file["path"]: file["content"] for file in request[name]} for name in ("files", "candidate")
    )
    return unified_diff(old, new, {})


def chosen_cases(plan: Json, wide: bool) -> Iterator[Json]:
    """The cases that a bundle tests: the first weight draw, and nothing that draws at random.

    Without `wide` the float64 cases are left out: the candidate fixes float32 in a way that a
    test can't widen.
    """
    kinds = {"forward_f64": "outputs", "forward_f32": "outputs", "gradients": "gradients"}
    for case in plan["cases"]:
        kind = kinds.get(case["stage"])
        if kind is None or case["draw"] != 0 or case.get("rng"):
            continue
        if case["output"]["t"] == "none":  # all there is are new values of its arguments
            continue
        if case["dtype"] == "float64" and not wide:
            continue
        if case["stage"] != "forward_f64" and case["input"] != 0:
            continue
        yield {**case, "kind": kind}


def mapped_parameters(request: Json) -> set[str]:
    """The source's trained parameters that the weight map uses."""
    entries = (request.get("weights") or {}).get("params", [])
    used = {source for entry in entries for source in entry["from"]}
    trained = {t["name"] for t in request.get("tensors") or [] if t.get("trainable", True)}
    return used & trained


def state_dict(given: Tensors, weights: Json | None) -> dict[str, RawTensor]:
    """The tensors of weight draw 0 that the map mentions, by their names in the source."""
    if not weights:
        return {}
    mentioned = {source for entry in weights["params"] for source in entry["from"]}
    mentioned |= set(weights.get("ignored", []))
    return {name: given[f"w0/{name}"] for name in sorted(mentioned) if f"w0/{name}" in given}


def case_tensors(
    cases: Sequence[Json], given: Tensors, expected: Tensors, parameters: set[str]
) -> dict[str, RawTensor]:
    """Inputs, cotangents, outputs and gradients of `cases`, by their names in the oracle."""
    kept = {f"x{case['input']}/" for case in cases}
    kept |= {f"ct{case['input']}/" for case in cases if case["kind"] == "gradients"}
    found = {name: value for name, value in given.items() if name.startswith(tuple(kept))}
    runs = {case["id"] for case in cases} | {case["truth"] for case in cases if case["truth"]}
    for name, value in expected.items():
        run, _, rest = name.partition("/")
        if run not in runs or rest.startswith(("sub/", "state/", "arg/")):
            continue
        parameter = rest.removeprefix("grad/param/")
        if parameter == rest or parameter in parameters:
            found[name] = value
    return found


def case_index(plan: Json, cases: Sequence[Json], report: Json) -> str:
    """`cases.json`: how the tensors of the cases belong together."""
    stated = (report.get("contract") or {}).get("tolerances") or {}
    index = {
        "tolerances": {name: stated.get(name, value) for name, value in TOLERANCES.items()},
        "cases": [
            {
                "id": case["id"],
                "kind": case["kind"],
                "dtype": case["dtype"],
                "input": case["input"],
                "inputs": plan["inputs"][case["input"]],
                "truth": case["truth"],
            }
            for case in cases
        ],
    }
    return json.dumps(index, indent=1) + "\n"
