"""Run the torch-side steps on files from a shell, in memory and without a sandbox.

``python -m ferry.devrun capture model.py --entry Net --out DIR`` leaves request.json,
inspected.json, capture.json, plan.json, facts.json and the two tensor files in DIR; `draft`
goes one step further and adds draft.json, weights.json and the candidate under jax/. With
``--whole`` the recipe is that of the whole contract, and accept.json with its two tensor files
are there too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ferry.oracle import accept, capture, inspect_step
from ferry.step import MemoryContext, StepError
from ferry.steps import load

Json = dict[str, Any]
NARROW = {"draws": 2, "inputs": 2, "seed": 0, "train_steps": 2}
WHOLE = {
    "draws": 3,
    "inputs": 3,
    "seed": 0,
    "train_steps": 2,
    "scales": [1, 8, 0.01],
    "resize": 2,
    "optimizer_steps": 3,
}


def request_for(paths: list[Path], entry: str | None, **given: Any) -> Json:
    """An inspect request for files that are imported by their stems."""
    files = [{"path": p.name, "content": p.read_text(encoding="utf-8")} for p in paths]
    blank = {"init": None, "init_expr": None, "inputs": None, "inputs_expr": None, "seed": 0}
    return {"files": files, "entry": entry, **blank, **given}


def run_capture(request: Json, recipe: Json) -> tuple[Json, Json, MemoryContext]:
    """inspect, then capture; the two results and the context with the tensors."""
    inspected = inspect_step.run(MemoryContext(request))
    context = MemoryContext({**request, "inspected": inspected, "recipe": recipe})
    return inspected, capture.run(context), context


def run_accept(request: Json, inspected: Json, captured: Json, given: bytes, seed: int) -> Any:
    """Round 0 of accept; its result and the context with the tensors."""
    context = MemoryContext(
        {
            **request,
            "inspected": inspected,
            "plan": captured["plan"],
            "accept": {"seed": seed, "round": 0, "around": None},
        },
        {"given": given},
    )
    return accept.run(context), context


def save(out: Path, request: Json, inspected: Json, captured: Json, context: MemoryContext) -> None:
    """Write everything that the steps saw and gave into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for name, value in (
        ("request", request),
        ("inspected", inspected),
        ("capture", captured),
        ("plan", captured["plan"]),
        ("facts", captured["facts"]),
    ):
        (out / f"{name}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
    for name, data in context.outputs.items():
        (out / f"{name}.safetensors").write_bytes(data)


def save_accept(out: Path, accepted: Json, context: MemoryContext) -> None:
    """Write what accept gave as accept.json and accept_{given,expected}.safetensors."""
    (out / "accept.json").write_text(json.dumps(accepted, indent=1), encoding="utf-8")
    for name, data in context.outputs.items():
        (out / f"accept_{name}.safetensors").write_bytes(data)


def run_draft(request: Json, captured: Json) -> Json:
    """The built-in engine's draft."""
    parts = {name: captured[name] for name in ("plan", "facts", "tensors")}
    drafting = {"files": request["files"], **parts, "style": "faithful", "engine": "builtin"}
    return load("draft")(MemoryContext(drafting))


def save_draft(out: Path, draft: Json) -> None:
    """Write the candidate, its map and the whole result."""
    (out / "draft.json").write_text(json.dumps(draft, indent=1), encoding="utf-8")
    if "weights" in draft:
        (out / "weights.json").write_text(json.dumps(draft["weights"], indent=1), encoding="utf-8")
    for file in draft["files"]:
        path = out / "jax" / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"], encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """The command line; 1 where the source cannot be captured."""
    parser = argparse.ArgumentParser(prog="ferry.devrun", description=__doc__)
    parser.add_argument("command", choices=["inspect", "capture", "draft"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--entry")
    parser.add_argument("--inputs", type=json.loads, help="input specs as JSON")
    parser.add_argument("--inputs-expr")
    parser.add_argument("--init", type=json.loads)
    parser.add_argument("--init-expr")
    parser.add_argument("--whole", action="store_true", help="the whole contract, with accept")
    parser.add_argument("--seed", type=int, default=1, help="what accept draws from")
    parser.add_argument("--out", type=Path, default=Path("oracle"))
    options = parser.parse_args(argv)
    request = request_for(
        options.files,
        options.entry,
        inputs=options.inputs,
        inputs_expr=options.inputs_expr,
        init=options.init,
        init_expr=options.init_expr,
    )
    started = time.perf_counter()
    try:
        if options.command == "inspect":
            print(json.dumps(inspect_step.run(MemoryContext(request)), indent=1))
            return 0
        recipe = WHOLE if options.whole else NARROW
        inspected, captured, context = run_capture(request, recipe)
        save(options.out, request, inspected, captured, context)
        if options.whole:
            given = context.outputs["given"]
            accepted, held = run_accept(request, inspected, captured, given, options.seed)
            save_accept(options.out, accepted, held)
        if options.command == "draft":
            save_draft(options.out, run_draft(request, captured))
    except StepError as error:
        print(json.dumps(error.to_json(), indent=1), file=sys.stderr)
        return 1
    print(f"{options.out}: {time.perf_counter() - started:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
