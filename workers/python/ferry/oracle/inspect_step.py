"""Step `inspect`: what a source is, before anything of it is recorded."""

from __future__ import annotations

from typing import Any

from ferry.oracle.infer import infer_inputs
from ferry.oracle.inputs import require_bound, resolve_inputs
from ferry.oracle.precision import steady
from ferry.oracle.program import opened
from ferry.oracle.source import list_definitions, list_imports
from ferry.step import Context

Json = dict[str, Any]


def run(ctx: Context) -> Json:
    """The step: entry, constructor arguments, inputs, and what the files hold."""
    request = ctx.request
    assumptions: list[Json] = []
    with steady(), opened(request) as program:
        inputs = resolve_inputs(program, request, None)
        if inputs is None:
            inputs, assumption = infer_inputs(program)
            assumptions.append(assumption)
        require_bound(program, inputs.first)
        inputs.first.spec()
        classes, functions = list_definitions(program.files)
        return {
            "ok": True,
            "entry": program.entry.to_json(),
            "init": program.init.to_json(),
            "inputs": inputs.to_json(),
            "classes": classes,
            "functions": functions,
            "imports": list_imports(program.files),
            "assumptions": assumptions,
        }
