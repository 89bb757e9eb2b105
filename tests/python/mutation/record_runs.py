"""Which mutants of the operation tables the generated operation tests notice.

For every record the sampled calls that consider it are gathered, one of each ported text. A
mutant's port of them is killed as `test_operations_table` would do it: refused, or its arrays
differ from those that torch gave. All mutated ports run in one jax process, which stops at a
mutant's first wrong call.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ferry.translate import draft, operations
from ferry.translate.ops import Op
from operation_calls import HEAD, Call, bodies, facts_of, ported
from operation_samples import FAMILIES, INPUTS
from oracle_and_port import JAX_PYTHON
from record_mutants import Mutant

# a record that many calls share is judged by this many of its texts
CALLS = 60
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
Json = dict[str, Any]


@dataclass
class Sampled:
    """A file of the calls that consider one record, and how they are ported without a mutation."""

    calls: list[Call]
    text: str
    facts: Json
    bodies: dict[str, str]


def _translated(text: str, facts: Json) -> tuple[str, str]:
    """The port of a file of calls, and why its first refused call was refused."""
    result = draft.translate([{"path": "calls.py", "content": text}], facts, [], {})
    refusals = [f"{r['code']}: {r['why']}" for r in result["refusals"]]
    return result["files"][0]["content"], (refusals or [""])[0]


@functools.cache
def considering() -> dict[int, list[Call]]:
    """By the identity of a record: the calls whose translation asks whether they fit it."""
    found: dict[int, dict[str, Call]] = {}
    for family in FAMILIES:
        for done in ported(family):
            texts = bodies(done.text)
            for call, records in zip(done.calls, _asked(done.calls), strict=True):
                for record in records:
                    found.setdefault(record, {}).setdefault(texts[call.name], call)
    return {record: list(calls.values())[:CALLS] for record, calls in found.items()}


def _asked(calls: Sequence[Call]) -> list[set[int]]:
    """The records that the translation of each call binds."""
    text, first_lines = HEAD, {}
    for number, call in enumerate(calls):
        text += "\n\n"
        lines = call.text.count("\n")
        first = text.count("\n") + 1
        first_lines.update(dict.fromkeys(range(first, first + lines), number))
        text += call.text
    asked: list[set[int]] = [set() for _ in calls]
    bind: Callable[..., Any] = operations.bind

    def noting(op: Op, receiver: Any, node: Any) -> Any:
        asked[first_lines[node.lineno]].add(id(op))
        return bind(op, receiver, node)

    operations.bind = noting
    try:
        _translated(text, facts_of(text, list(calls)))
    finally:
        operations.bind = bind
    return asked


@functools.cache
def sampled(record: int) -> Sampled:
    """The calls of a record as one file."""
    calls = [
        replace(call, name=f"call_{number}")
        for number, call in enumerate(considering().get(record, []))
    ]
    text = HEAD + "".join(f"\n\n{call.text}" for call in calls)
    facts = facts_of(text, calls)
    return Sampled(calls, text, facts, bodies(_translated(text, facts)[0]))


def killers(mutants: Sequence[Mutant], folder: Path) -> dict[str, str]:
    """By the name of a mutant: what notices it; empty where nothing does."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = {m.name: _written(m, folder / f"{n}") for n, m in enumerate(mutants)}
    finally:
        torch.set_default_dtype(before)
    np.savez(folder / "inputs.npz", **INPUTS)
    script = Path(__file__).with_name("run_mutants.py")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": _QUICK}
    subprocess.run([JAX_PYTHON, str(script), str(folder)], check=True, env=env)
    results = json.loads((folder / "results").read_text(encoding="utf-8"))
    for number, mutant in enumerate(mutants):
        found[mutant.name] = found[mutant.name] or results.get(str(number), "")
    return found


def _written(mutant: Mutant, path: Path) -> str:
    """Why the port is refused, or empty after the mutated calls were written to be run."""
    one = sampled(id(mutant.record))
    if not one.calls:
        return ""
    with mutant.applied():
        text, refused = _translated(one.text, one.facts)
    if refused:
        return refused
    mutated = bodies(text)
    changed = [c for c in one.calls if mutated[c.name] != one.bodies[c.name]]
    if not changed:
        return ""
    arrays = {f"{c.name}/{key}": value for c in changed for key, value in c.expected.items()}
    listed = {c.name: [c.operation, list(c.inputs)] for c in changed}
    np.savez(path.with_suffix(".npz"), **arrays)
    path.with_suffix(".json").write_text(json.dumps(listed), encoding="utf-8")
    path.with_suffix(".py").write_text(text, encoding="utf-8")
    return ""
