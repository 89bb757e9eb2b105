"""A rule: one known wrong translation, as text for people and as a mutation for the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ferry.bugs.site import SAME, Mutation, Site

Wrapper = Callable[..., Any]


@dataclass(frozen=True)
class Rule:
    """`wrong` is what the candidate does, `right` the mapping, `shows` how the error looks.

    The rule applies where the source calls one of `ops`; each of `mutations` is one form of
    the same mistake. A rule about a pattern that no single call shows names the functions of
    the source by a regular expression in `functions`; `wrappers` then change those.
    `stage` is the first stage that can see it.
    """

    code: str
    title: str
    wrong: str
    right: str
    shows: str
    ops: tuple[str, ...] = ()
    mutations: tuple[Mutation, ...] = ()
    functions: re.Pattern[str] | None = None
    wrappers: tuple[Callable[[Wrapper], Wrapper], ...] = ()
    stage: str = "forward_f64"

    @property
    def text(self) -> str:
        """What the fingerprint reports beside the title."""
        return f"{self.wrong} {self.right}"

    def to_json(self) -> dict[str, str]:
        """The `bug` of steps.md."""
        return {"code": self.code, "title": self.title, "rule": self.text}


def given(**changes: Any) -> Mutation:
    """The same call with these arguments; nothing where the source gives the same."""

    def mutation(site: Site) -> Any:
        if not all(site.has(name) for name in changes):
            return SAME
        if all(site[name] == value for name, value in changes.items()):
            return SAME
        return site.original(**changes)

    return mutation


def each_of(name: str, *values: Any) -> tuple[Mutation, ...]:
    """One mutation for each wrong value of one argument."""
    return tuple(given(**{name: value}) for value in values)
