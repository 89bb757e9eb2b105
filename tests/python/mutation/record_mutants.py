"""Records of the operation tables with one meaning-changing change each.

A mutant is a record and the fields that replace its own; the kinds:

``swap``           the first two arguments of the text trade places
``drop``           an optional part of the text is left out, so its argument is lost
``constant``       a number or a truth value in the text is another
``default``        the text for an argument that is not given is another
``sign``           an infix operator is another
``neighbour``      the text is that of the next record of the tables with the same parameters
``unconditional``  the record takes calls that another one was meant to take
``gone``           the record takes no call
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ferry.translate.ops import Op

_PLAIN = re.compile(r"\{(\w+)\.?\}")
_OPTIONAL = re.compile(r"\{\w+\?[^{}]*\}")
_DEFAULT = re.compile(r"(\{\w+\.?\|)([^{}?]*)(\})")
_CONSTANT = re.compile(r"(?<![\w.\"'])(\d+\.\d+|\d+|True|False)(?![\w.\"'])")
_SIGN = re.compile(r" (\*\*|//|[-+*/%@&|^]|[<>=!]=|[<>]) ")
_OTHER_SIGN = {
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "//": "/",
    "%": "//",
    "**": "*",
    "@": "*",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&": "|",
    "|": "&",
    "^": "|",
}
_NEVER = "no_such_argument"


@dataclass(frozen=True)
class Mutant:
    """A record and the one field that is replaced."""

    record: Op
    kind: str
    field: str
    value: str

    @property
    def name(self) -> str:
        """A stable name for lists and for the table of equivalent mutants."""
        return f"{self.record.names.split()[0]} [{self.record.to}] {self.kind}: {self.value!r}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The record mutated in place; every table that holds it sees the change."""
        before = getattr(self.record, self.field)
        object.__setattr__(self.record, self.field, self.value)
        try:
            yield
        finally:
            object.__setattr__(self.record, self.field, before)


def of_records(records: Sequence[Op]) -> list[Mutant]:
    """All mutants, in the tables' order."""
    found: list[Mutant] = []
    for record, neighbour in _with_neighbour(records):
        texts = {**dict(_texts(record.to)), "neighbour": neighbour}
        found += [
            Mutant(record, kind, "to", text)
            for kind, text in texts.items()
            if text not in ("", record.to)
        ]
        found += [Mutant(record, "unconditional", "when", "")] if record.when else []
        found.append(Mutant(record, "gone", "when", _NEVER))
    return found


def _with_neighbour(records: Sequence[Op]) -> Iterator[tuple[Op, str]]:
    """Each record with the text of the next one that has the same parameters."""
    by_params: dict[str, list[Op]] = {}
    for record in records:
        by_params.setdefault(record.params, []).append(record)
    for record in records:
        group = by_params[record.params]
        at = next(i for i, other in enumerate(group) if other is record)
        later = itertools.chain(group[at + 1 :], group[:at])
        yield record, next((o.to for o in later if o.to != record.to), "")


def _texts(text: str) -> Iterator[tuple[str, str]]:
    """The kinds of change that a template alone allows, each at the first place that it has."""
    plain = list(_PLAIN.finditer(text))
    other = next((m for m in plain if m.group(1) != plain[0].group(1)), None)
    if other is not None:
        first, (a, b) = plain[0], other.span()
        middle = text[first.end() : a]
        yield "swap", text[: first.start()] + text[a:b] + middle + first.group() + text[b:]
    if match := _OPTIONAL.search(text):
        yield "drop", text[: match.start()] + text[match.end() :]
    if match := _CONSTANT.search(text):
        yield "constant", text[: match.start()] + _changed(match.group()) + text[match.end() :]
    if match := _DEFAULT.search(text):
        changed = match.group(1) + _changed(match.group(2)) + match.group(3)
        yield "default", text[: match.start()] + changed + text[match.end() :]
    if match := _SIGN.search(text):
        sign = _OTHER_SIGN[match.group(1)]
        yield "sign", f"{text[: match.start()]} {sign} {text[match.end() :]}"


def _changed(literal: str) -> str:
    """Another value of the same type; another number where the text is no literal."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return "0"
    if isinstance(value, bool):
        return str(not value)
    return repr(value + 1) if isinstance(value, (int, float)) else "0"
