"""What a port changed: the unified diff and the counts of lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from ferry.translate.line_match import Opcode, opcodes

CONTEXT = 3


def unified_diff(
    old: Mapping[str, str], new: Mapping[str, str], inserted: Mapping[str, tuple[int, int]]
) -> str:
    """One diff over all files, ``a/`` the source and ``b/`` the port.

    `inserted` gives, for a file that holds the prelude, the lines where it begins and ends:
    they are shown as one addition, so that the lines around them still match.
    """
    parts: list[str] = []
    for path in sorted({*old, *new}):
        before = (old.get(path) or "").splitlines(keepends=True)
        after = (new.get(path) or "").splitlines(keepends=True)
        hunks = list(_hunks(before, after, inserted.get(path, (0, 0))))
        if hunks:
            parts.append(f"--- a/{path}\n" if path in old else "--- /dev/null\n")
            parts.append(f"+++ b/{path}\n" if path in new else "+++ /dev/null\n")
            parts += hunks
    return "".join(p if p.endswith("\n") else p + "\n\\ No newline at end of file\n" for p in parts)


def _hunks(before: Sequence[str], after: Sequence[str], inserted: tuple[int, int]) -> Iterator[str]:
    start, end = inserted
    own = [*after[:start], *after[end:]]
    matcher = difflib.SequenceMatcher()
    matcher.opcodes = list(_with_insertion(opcodes(before, own), start, end))  # type: ignore[attr-defined]
    for group in matcher.get_grouped_opcodes(CONTEXT):
        i1, i2, j1, j2 = group[0][1], group[-1][2], group[0][3], group[-1][4]
        yield f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@\n"
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                yield from (" " + line for line in before[a1:a2])
                continue
            yield from ("-" + line for line in before[a1:a2])
            yield from ("+" + line for line in after[b1:b2])


def _with_insertion(found: Sequence[Opcode], start: int, end: int) -> Iterator[Opcode]:
    """Opcodes for the text with lines `start` to `end` inserted."""
    size = end - start
    done = size == 0
    for tag, i1, i2, j1, j2 in found:
        if done:
            yield tag, i1, i2, j1 + size, j2 + size
        elif j2 < start or (j2 == start and tag != "equal"):
            yield tag, i1, i2, j1, j2
        elif tag == "equal":
            middle = i1 + start - j1
            if j1 < start:
                yield tag, i1, middle, j1, start
            yield "insert", middle, middle, start, end
            if start < j2:
                yield tag, middle, i2, end, j2 + size
            done = True
        else:
            yield tag, i1, i2, j1, j2 + size
            done = True
    if not done:
        last = found[-1][2] if found else 0
        yield "insert", last, last, start, end


def _range(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def counts(diff: str, old: Mapping[str, str], prelude: int) -> dict[str, int]:
    """Lines added, removed and kept; the prelude's lines are counted apart from those added."""
    lines = [line for line in diff.splitlines() if not line.startswith(("+++ ", "--- "))]
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    total = sum(len(text.splitlines()) for text in old.values())
    return {
        "added": added - prelude,
        "removed": removed,
        "kept": total - removed,
        "prelude": prelude,
    }
