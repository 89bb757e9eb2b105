"""Which mutants of the rules the tests of the translation notice.

The sources of `test_constructs`, `test_idiomatic`, `test_jit_ready` and `test_models` are captured once; under a mutant they are translated again,
those that reach the mutated function first. It is killed where one of them is refused that was
ported or ported that was refused, where an expected line is missing, or, as the port's text alone
cannot tell, where the changed port does not compute what torch did.
"""

from __future__ import annotations

import copy
import functools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

import jit_sources
import oracle_and_port
import sources
import sources_calls
import sources_gradients
import sources_refused
import sources_styles
from ferry.step import MemoryContext, StepError
from ferry.translate import draft
from oracle_and_port import Json, Port, port, run_ports
from rule_mutants import FILES, Mutant
from test_models import NAMES as MODELS
from test_models import files_of

EQUAL = {**sources.EQUAL, **sources_calls.EQUAL, **sources_gradients.EQUAL}
REFUSED = {**sources.REFUSED, **sources_calls.REFUSED, **sources_refused.REFUSED}
#: Sources whose ports are judged by their numbers alone.
NUMBERS = {f"style_{name}": one.text for name, one in sources_styles.SOURCES.items()} | {
    f"jit_{name}": oracle_and_port.HEAD + text for name, text in jit_sources.SOURCES.items()
}
#: Ports whose changed text is run with jax before a mutant counts as a survivor.
RUN = 4


class _Requested(MemoryContext):
    """Remembers the request of the last draft, to make it again under a mutation."""

    last: ClassVar[Json] = {}

    def __init__(self, request: Json, *given: Any) -> None:
        super().__init__(request, *given)
        _Requested.last = request


@functools.cache
def _captured() -> dict[str, tuple[Port, Json]]:
    """By name: each source's port and the request of its draft."""
    texts = {name: source for name, (source, *_) in {**EQUAL, **REFUSED}.items()}
    given = {name: (text, "Net") for name, text in texts.items()}
    given |= {name: (text, None) for name, text in NUMBERS.items()}
    given |= {f"model_{name}": files_of(name) for name in MODELS}
    found = {}
    original = oracle_and_port.MemoryContext
    oracle_and_port.MemoryContext = _Requested  # type: ignore[misc]
    try:
        for name, (source, entry) in given.items():
            found[name] = (port(source, entry), copy.deepcopy(_Requested.last))
    finally:
        oracle_and_port.MemoryContext = original  # type: ignore[misc]
    return found


@functools.cache
def _reached() -> dict[CodeType, list[str]]:
    """By a function's code: the sources whose translation runs it."""
    found: dict[CodeType, dict[str, None]] = {}
    ends = tuple(f"/translate/{file}.py" for file in FILES)
    for name, (_, request) in _captured().items():

        def note(frame: Any, event: str, _: Any, name: str = name) -> None:
            if event == "call" and frame.f_code.co_filename.endswith(ends):
                found.setdefault(frame.f_code, {})[name] = None

        sys.setprofile(note)
        try:
            draft.run(MemoryContext(request))
        finally:
            sys.setprofile(None)
    return {code: list(names) for code, names in found.items()}


def killer(mutant: Mutant) -> str:
    """What notices a mutant; empty where nothing does."""
    reaching = _reached().get(mutant.function.__code__, [])
    changed: dict[str, Port] = {}
    with mutant.applied():
        for name in reaching:
            one, request = _captured()[name]
            try:
                drafted = draft.run(MemoryContext(request))
            except (StepError, RecursionError) as error:
                return f"{name}: {type(error).__name__}: {error}"
            except Exception as error:
                return f"{name}: {type(error).__name__}: {error}"
            if why := _difference(name, one, drafted):
                return f"{name}: {why}"
            if drafted["files"] != one.draft["files"] and name not in REFUSED:
                changed[name] = replace(one, draft=drafted)
    return _wrong_numbers(dict(list(changed.items())[:RUN]))


def _difference(name: str, one: Port, drafted: Json) -> str:
    """What the tests of lines and of refusals would say."""
    codes = [(r["code"], r["file"], r["line"]) for r in drafted["refusals"]]
    before = [(r["code"], r["file"], r["line"]) for r in one.draft["refusals"]]
    if codes != before:
        return f"refusals {codes}"
    text = replace(one, draft=drafted).text
    return next((f"no line {s!r}" for s in EQUAL.get(name, ("", []))[1] if s not in text), "")


def _wrong_numbers(ports: dict[str, Port]) -> str:
    """What the test of numbers would say of ports whose text a mutant changed."""
    if not ports:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        for name, result in run_ports(ports, Path(folder)).items():
            wrong = {
                s: e for s, e in result["errors"].items() if e > (1e-4 if s == "jit" else 1e-11)
            }
            if result["failed"] or wrong:
                return f"{name}: {result['failed'] or wrong}"
    return ""
