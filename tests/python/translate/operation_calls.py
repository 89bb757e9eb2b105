"""Sample calls written in every style, run by torch, ported by the engine.

One file holds one function for each call. A style is kept where torch takes it: as sampled,
positional, by keywords, as a method, in place, with ``out=``.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional
from ferry.oracle.facts import Recorder
from ferry.oracle.probes import Probes, reporting
from ferry.translate import draft, library
from ferry.translate.table import OPERATIONS
from operation_numbers import cotangent, leaves
from operation_samples import FAMILIES, FIXED, GRADLESS, INPUTS

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor\n"
Arrays = dict[str, np.ndarray]


@dataclass
class Call:
    """One call: the statements of a function of the inputs it names, and what torch made of it."""

    operation: str
    lines: tuple[str, ...]
    inputs: tuple[str, ...]
    name: str = ""
    expected: Arrays = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The function that makes the call."""
        body = "".join(f"    {line}\n" for line in self.lines)
        return f"def {self.name}({', '.join(self.inputs)}):\n{body}"


def parameters_of(operation: str) -> list[tuple[str, bool]]:
    """Names and whether keyword-only, of an operation's first record or the prelude's function."""
    records = OPERATIONS.get(operation)
    if records:
        return [(p.name, p.keyword_only) for p in records[0].parameters() if not p.variadic]
    space, _, name = operation.rpartition(".")
    known = library.load().definitions
    definition = known.get(f"linalg_{name}" if space == "torch.linalg" else name)
    return [(name, False) for name in definition.parameters] if definition else []


def styles(operation: str, sample: str) -> Iterator[tuple[str, ...]]:
    """The bodies of functions that make one sampled call."""
    short = re.sub(r"^torch\.nn\.functional\.", "F.", operation)
    name = operation.rsplit(".", 1)[-1]
    call = ast.parse(f"f({sample})", mode="eval").body
    assert isinstance(call, ast.Call)
    given = [ast.unparse(a) for a in call.args]
    named = {k.arg or "": ast.unparse(k.value) for k in call.keywords}
    known = parameters_of(operation)
    method = operation.startswith("Tensor.")
    receiver = given[0] if given else ""
    if not method:
        yield (f"return {short}({_joined(given, named)})",)
        yield from _respelled(short, given, named, known)
        yield (f"out = torch.empty_like({short}({_joined(given, named)}))",
               f"{short}({_joined([*given], {**named, 'out': 'out'})})", "return out")  # fmt: skip
    has_method = not operation.startswith(("torch.linalg.", "torch.fft.", "torch.special."))
    if not has_method or not given or not re.fullmatch(r"[a-z]\w*(\.\w+)*", receiver):
        return
    rest = given[1:]
    yield (f"return {receiver}.{name}({_joined(rest, named)})",)
    yield (f"return {receiver}.{name}({_joined([*rest, *named.values()], {})})",)
    if hasattr(torch.Tensor, f"{name}_"):
        yield (f"out = {receiver} * 1", f"out.{name}_({_joined(rest, named)})", "return out")


def _respelled(
    short: str, given: list[str], named: dict[str, str], known: list[tuple[str, bool]]
) -> Iterator[tuple[str, ...]]:
    """The same call with all arguments by position, and with all by name."""
    order = [name for name, keyword_only in known if not keyword_only]
    if named and list(named) == order[len(given) : len(given) + len(named)]:
        yield (f"return {short}({_joined([*given, *named.values()], {})})",)
    if given and len(given) <= len(order):
        names = dict(zip(order, given, strict=False))
        yield (f"return {short}({_joined([], {**names, **named})})",)


def _form(operation: str, sample: str) -> tuple[str, int, tuple[str, ...]]:
    call = ast.parse(f"f({sample})", mode="eval").body
    assert isinstance(call, ast.Call)
    return operation, len(call.args), tuple(k.arg or "" for k in call.keywords)


def _joined(given: list[str], named: dict[str, str]) -> str:
    return ", ".join([*given, *(f"{k}={v}" for k, v in named.items())])


def _tensors(call: Call, grad: bool) -> dict[str, torch.Tensor]:
    made = {name: torch.from_numpy(np.array(INPUTS[name])) for name in call.inputs}
    for name, tensor in made.items():
        tensor.requires_grad_(grad and tensor.is_floating_point() and name not in FIXED)
    return made


def run(call: Call, function: Any) -> Arrays:
    """What torch gives: outputs, and gradients of the floating inputs. Raises where it refuses."""
    smooth = not GRADLESS & set(call.inputs)
    inputs = _tensors(call, grad=False)
    outputs = leaves(function(**inputs))
    stored = {f"out/{n}": _array(out) for n, out in enumerate(outputs)}
    inputs = _tensors(call, grad=True)
    if not smooth or not any(t.requires_grad for t in inputs.values()):
        return stored
    try:
        outputs = leaves(function(**inputs))
        weighted = [
            (out * torch.from_numpy(cotangent(tuple(out.shape), n))).sum()
            for n, out in enumerate(outputs)
            if isinstance(out, torch.Tensor) and out.is_floating_point() and out.requires_grad
        ]
        if weighted:
            sum(weighted).backward()
    except RuntimeError:  # torch has no gradient of this call, as of those with out=
        return stored
    if weighted:
        for name, tensor in inputs.items():
            if tensor.requires_grad:
                given = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                stored[f"grad/{name}"] = given.numpy(force=True)
    return stored


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        return (
            value.detach().resolve_conj().numpy()
            if value.dtype != torch.bfloat16
            else value.float().numpy()
        )
    if isinstance(value, (bool, int, float)):
        return np.asarray(value)
    return np.asarray(0)


def kept(call: Call) -> bool:
    """Whether torch takes the call in this style; its result is then in `expected`."""
    scope: dict[str, Any] = {}
    exec(HEAD + call.text, scope)
    try:
        call.expected = run(call, scope[call.name])
    except (TypeError, RuntimeError, AttributeError, NotImplementedError, ValueError):
        return False
    return True


def inputs_of(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The inputs that statements read."""
    names = {n.id for n in ast.walk(ast.parse("\n".join(lines).replace("return ", "")))
             if isinstance(n, ast.Name)}  # fmt: skip
    return tuple(sorted(names & set(INPUTS)))


def all_calls(family: str) -> list[Call]:
    """Every sampled call of a family in every style that torch takes."""
    found: list[Call] = []
    taken: dict[tuple[str, ...], bool] = {}
    forms: set[tuple[str, int, tuple[str, ...]]] = set()
    for operation, samples in FAMILIES[family].items():
        for sample in samples:
            written = list(styles(operation, sample))
            form = _form(operation, sample)
            written = written[:1] if form in forms else written  # other values need no other styles
            forms.add(form)
            for lines in written:
                if lines in taken:
                    continue
                call = Call(operation, lines, inputs_of(lines), f"call_{len(found)}")
                taken[lines] = kept(call)
                found += [call] if taken[lines] else []
            assert any(taken[w] for w in written), f"torch takes {operation}({sample}) in no style"
    return found


@dataclass
class Ported:
    """A file of calls and its port, and the calls that were refused."""

    calls: list[Call]
    text: str
    refused: dict[str, str]


FILE = 150  # calls


@functools.cache
def ported(family: str) -> list[Ported]:
    """Run and port the calls of a family, some of them in each file."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        calls = all_calls(family)
        return [_port(calls[at : at + FILE]) for at in range(0, len(calls), FILE)]
    finally:
        torch.set_default_dtype(before)


def _port(calls: list[Call]) -> Ported:
    text = HEAD
    first_lines = {}
    for call in calls:
        text += "\n\n"
        first_lines[text.count("\n") + 1] = call
        text += call.text
    result = draft.translate([{"path": "calls.py", "content": text}], facts_of(text, calls), [], {})
    starts = sorted(first_lines)
    refused = {}
    for refusal in result["refusals"]:
        start = max((s for s in starts if s <= refusal["line"]), default=starts[0])
        refused[first_lines[start].name] = f"{refusal['code']}: {refusal['why']}"
    return Ported(calls, result["files"][0]["content"], refused)


def facts_of(text: str, calls: list[Call]) -> dict[str, Any]:
    """What the engine gets to know of the file, from one run of each function."""
    probes = Probes()
    recorder = Recorder(probes)
    scope: dict[str, Any] = {}
    with reporting(recorder.site, recorder.ran):
        exec(probes.compile_file(text, "calls.py"), scope)
        for call in calls:
            with torch.no_grad():
                scope[call.name](**_tensors(call, grad=False))
    return {"sites": recorder.sites(), "ran": recorder.functions()}


def bodies(text: str) -> dict[str, str]:
    """The functions of a ported file by name, without their names."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("call_"):
            source = ast.get_source_segment(text, node) or ""
            found[node.name] = source.replace(node.name, "call", 1)
    return found
