"""Step `fingerprint`: which known wrong rule explains the first difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import safetensors.torch
from torch import Tensor

from ferry.bugs.compare import distance, explains
from ferry.bugs.rerun import Call, Recorded, Scope, Source
from ferry.bugs.rule import Rule
from ferry.bugs.site import Mutating, Mutation
from ferry.bugs.table import RULES
from ferry.bugs.whole import WholeCase, arguments_of, weights_of
from ferry.bugs.wrapping import changed, functions_named
from ferry.oracle.cases import Copies, Runner
from ferry.oracle.inputs import resolve_inputs
from ferry.oracle.precision import steady
from ferry.oracle.program import Program, opened
from ferry.oracle.trees import Leaves
from ferry.step import Context, StepError

Json = dict[str, Any]

# A wrong rule may be followed at one of several places: so many are tried one by one.
SINGLE_SITES = 8
# One step reruns the source at most this often.
MAX_RERUNS = 600


def _nothing_changed(_: Mutating) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Mutant:
    """One way to follow a wrong rule: operations computed otherwise, or functions wrapped."""

    ops: tuple[str, ...] = ()
    mutation: Mutation | None = None
    surroundings: Callable[[Mutating], AbstractContextManager[None]] = _nothing_changed


class Place(Protocol):
    """A part of the source that can be rerun, and what it and the candidate gave there."""

    @property
    def source(self) -> Leaves:
        """The source's own arrays."""

    @property
    def wanted(self) -> Leaves:
        """The candidate's arrays."""

    def rerun(self, mutating: Mutating) -> Leaves | None:
        """What the source gives under a mutation; None where that fails."""


@dataclass
class ScopePlace:
    """One scope of a submodule call."""

    program: Source
    recorded: Recorded
    scope: Scope
    target: Call
    shielded: set[Call]
    wanted: Leaves

    @property
    def source(self) -> Leaves:
        """The source's own output of the call."""
        return self.recorded.output

    def rerun(self, mutating: Mutating) -> Leaves | None:
        """Rerun the scope up to the call."""
        return self.program.rerun(self.scope, self.target, self.shielded, mutating)


@dataclass
class CasePlace:
    """A whole case, compared in the arrays that the candidate gave."""

    case: WholeCase
    source: Leaves
    wanted: Leaves

    def rerun(self, mutating: Mutating) -> Leaves | None:
        """Rerun the case."""
        leaves = self.case.run(mutating)
        return None if leaves is None else _only(leaves, self.wanted)


def _only(leaves: Leaves, wanted: Leaves) -> Leaves:
    return {name: leaf for name, leaf in leaves.items() if name in wanted}


@dataclass
class Search:
    """Tries rules at one place after the other."""

    program: Program
    tried: int = 0
    reruns: int = 0

    def find(self, place: Place) -> Rule | None:
        """The first rule of the table that explains what the candidate gave."""
        away = distance(place.source, place.wanted)
        if not explains(0.0, away):
            return None
        seen = Mutating()
        self.reruns += 1
        place.rerun(seen)
        for rule in RULES:
            if rule.functions is None and not seen.seen & set(rule.ops):
                continue
            if self._explained(rule, place, away):
                return rule
        return None

    def _explained(self, rule: Rule, place: Place, away: float) -> bool:
        applied = False
        for mutant in self._mutants(rule):
            for found, hits in self._outputs(mutant, place):
                applied = applied or hits > 0
                if hits and found is not None and explains(distance(found, place.wanted), away):
                    self.tried += 1
                    return True
        self.tried += applied
        return False

    def _mutants(self, rule: Rule) -> Iterator[Mutant]:
        for mutation in rule.mutations:
            yield Mutant(rule.ops, mutation)
        if rule.functions is None:
            return
        holders = functions_named(rule.functions, self.program.modules)
        for wrap in rule.wrappers if holders else ():
            yield Mutant(surroundings=partial(changed, holders, wrap))

    def _outputs(self, mutant: Mutant, place: Place) -> Iterator[tuple[Leaves | None, int]]:
        """The mutant's output with all sites changed, then with each of several alone."""
        found, hits = self._output(mutant, place, None)
        yield found, hits
        if hits > 1:
            for only in range(min(hits, SINGLE_SITES)):
                yield self._output(mutant, place, only)

    def _output(self, mutant: Mutant, place: Place, only: int | None) -> tuple[Leaves | None, int]:
        if self.reruns >= MAX_RERUNS:
            return None, 0
        self.reruns += 1
        mutating = Mutating(mutant.ops, mutant.mutation, only, place.wanted)
        with mutant.surroundings(mutating):
            found = place.rerun(mutating)
        return found, mutating.hits


def _below(tensors: dict[str, Tensor], prefix: str) -> Leaves:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _scope_places(
    source: Source, target: Call, located: dict[str, Tensor], case: str
) -> Iterator[ScopePlace]:
    """The scopes of a call, innermost first, with the calls inside that agree shielded."""
    recorded = source.record(target, _located_calls(located, case))
    if recorded is None:
        return
    wanted = _call_leaves(located, case, target)
    if not wanted and target == (".", 0):
        wanted = _below(located, f"{case}/out/")
    if not wanted:
        return
    agree = {
        call
        for call, leaves in recorded.calls.items()
        if leaves and not explains(0.0, distance(leaves, _call_leaves(located, case, call)))
    }
    for scope in recorded.scopes:
        yield ScopePlace(source, recorded, scope, target, agree, wanted)


def _located_calls(located: dict[str, Tensor], case: str) -> set[Call]:
    """The calls that the candidate made too."""
    names = {name.partition("/")[0].rpartition("#") for name in _below(located, f"{case}/sub/")}
    return {(path, int(call)) for path, _, call in names if call.isdecimal()}


def _call_leaves(located: dict[str, Tensor], case: str, call: Call) -> Leaves:
    return _below(located, f"{case}/sub/{call[0]}#{call[1]}/")


def _places(
    request: Json, program: Program, given: dict[str, Tensor], located: dict[str, Tensor]
) -> Iterator[Place]:
    """Where to look, in order: a whole case where one is named, else the scopes of a call."""
    recipe, plan, place = request.get("recipe") or {}, request["plan"], request["place"]
    specs = ((request.get("inspected") or {}).get("inputs") or {}).get("specs")
    inputs = resolve_inputs(program, request, specs)
    if inputs is None:
        raise StepError("inputs_unknown", "the inputs are not known")
    runner = Runner(Copies(program, inputs.first), int(recipe.get("seed") or 0))
    if place.get("case"):
        yield from _case_places(runner, request, given, located, inputs.first)
        return
    case = next((c for c in plan["cases"] if c["stage"] == "forward_f64"), None)
    if case is None:
        return
    arguments = arguments_of(inputs.first, given, case["input"])
    source = Source.of(runner, weights_of(given, case["draw"]), arguments)
    target = (str(place["path"]), int(place.get("call") or 0))
    yield from _scope_places(source, target, located, case["id"])


def _case_places(
    runner: Runner, request: Json, given: dict[str, Tensor], located: dict[str, Tensor], first: Any
) -> Iterator[CasePlace]:
    place = request["place"]
    case = next((c for c in request["plan"]["cases"] if c["id"] == place["case"]), None)
    if case is None:
        return
    whole = WholeCase(runner, case, first, given)
    own = whole.run(Mutating())
    if own is None:
        return
    wanted = _only(_below(located, f"{case['id']}/"), own)
    if place.get("tensor"):
        wanted = {n: t for n, t in wanted.items() if n == place["tensor"]}
    if wanted:
        yield CasePlace(whole, _only(own, wanted), wanted)


def run(ctx: Context) -> Json:
    """The step: `bug` is the rule that explains the difference, `tried` counts those that apply."""
    given = safetensors.torch.load(bytes(ctx.read("given")))
    located = safetensors.torch.load(bytes(ctx.read("located")))
    with steady(), opened(ctx.request) as program:
        search = Search(program)
        bug = None
        for place in _places(ctx.request, program, given, located):
            bug = search.find(place)
            if bug is not None:
                break
    return {"ok": True, "bug": bug and bug.to_json(), "tried": search.tried}
