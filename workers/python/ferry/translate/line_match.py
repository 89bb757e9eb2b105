"""Which lines two texts share, in near-linear time (after Bram Cohen's patience diff).

Lines that occur once in both texts anchor the match where they keep their order; between two
anchors the same is done again, and where no line is unique, `difflib` compares what is left.
`difflib` alone would compare each blank line with each other one of the file.
"""

from __future__ import annotations

import bisect
import collections
import difflib
from collections.abc import Iterator, Sequence

Opcode = tuple[str, int, int, int, int]
Span = tuple[int, int, int, int]
#: Without a unique line, pairs of texts above this many pairs of lines count as all different.
PAIRS = 1_000_000


def opcodes(before: Sequence[str], after: Sequence[str]) -> list[Opcode]:
    """What turns `before` into `after`, as `difflib.SequenceMatcher.get_opcodes` says it."""
    found: list[Opcode] = []
    i = j = 0
    for a, b, size in [*_blocks(before, after), (len(before), len(after), 0)]:
        if i < a or j < b:
            tag = "replace" if i < a and j < b else "delete" if i < a else "insert"
            found.append((tag, i, a, j, b))
        if size:
            found.append(("equal", a, a + size, b, b + size))
        i, j = a + size, b + size
    return found


def _blocks(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int]]:
    """Runs of shared lines in order: where they begin in both texts, and how many."""
    blocks: list[tuple[int, int, int]] = []
    for i, j in _pairs(before, after):
        if blocks and blocks[-1][0] + blocks[-1][2] == i and blocks[-1][1] + blocks[-1][2] == j:
            blocks[-1] = (*blocks[-1][:2], blocks[-1][2] + 1)
        else:
            blocks.append((i, j, 1))
    return blocks


def _pairs(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions of shared lines, in order; spans wait on a stack, the first one on top."""
    waiting: list[Span] = [(0, len(before), 0, len(after))]
    while waiting:
        i1, i2, j1, j2 = waiting.pop()
        while i1 < i2 and j1 < j2 and before[i1] == after[j1]:
            yield i1, j1
            i1, j1 = i1 + 1, j1 + 1
        if i1 == i2 or j1 == j2:
            continue
        anchors = _anchors(before, after, (i1, i2, j1, j2))
        if not anchors:
            yield from _compared(before, after, (i1, i2, j1, j2))
            continue
        starts = [(i1, j1), *anchors]
        ends = [*anchors, (i2, j2)]
        waiting += [(a, c, b, d) for (a, b), (c, d) in zip(starts, ends, strict=True)][::-1]


def _anchors(before: Sequence[str], after: Sequence[str], span: Span) -> list[tuple[int, int]]:
    """Lines that occur once on both sides of a span: the longest run that keeps its order."""
    i1, i2, j1, j2 = span
    counted = [collections.Counter(before[i1:i2]), collections.Counter(after[j1:j2])]
    places = {line: j for j, line in enumerate(after[j1:j2], j1) if counted[1][line] == 1}
    shared = [
        (i, places[line])
        for i, line in enumerate(before[i1:i2], i1)
        if counted[0][line] == 1 and line in places
    ]
    return _increasing(shared)


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence in which the second numbers grow (patience sorting)."""
    tops: list[int] = []
    last: list[int] = []
    earlier: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect.bisect_left(tops, j)
        earlier.append(last[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        last[pile : pile + 1] = [index]
    found = []
    index = last[-1] if last else -1
    while index >= 0:
        found.append(pairs[index])
        index = earlier[index]
    return found[::-1]


def _compared(before: Sequence[str], after: Sequence[str], span: Span) -> Iterator[tuple[int, int]]:
    """What `difflib` matches in a span that has no anchor."""
    i1, i2, j1, j2 = span
    if (i2 - i1) * (j2 - j1) > PAIRS:
        return
    matcher = difflib.SequenceMatcher(None, before[i1:i2], after[j1:j2], autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        yield from ((i1 + a + k, j1 + b + k) for k in range(size))
