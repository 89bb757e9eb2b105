"""Write the table of rules as docs/bugs.md: ``python -m ferry.bugs.document > docs/bugs.md``."""

from __future__ import annotations

import sys

from ferry.bugs.rule import Rule
from ferry.bugs.table import AREAS, RULES

HEAD = """# Known translation bugs

Generated from the table in `workers/python/ferry/bugs/` by `python -m ferry.bugs.document`.

When a candidate differs, the source's own submodule is rerun under each rule below that could apply. Where the candidate
equals such a mutant (to 1e-6 of the range, and a thousand times closer than to the source) the report names the bug. {count} rules; where
several explain the same difference the first in this order is named. A rule is tried at all places of a submodule at once,
then at each place alone.

Not in the table, because they show no rule in float64 values: the fast variance formula E[x²]-E[x]² (`use_fast_variance=False`;
only rounding noise), integer widths and x64 (the dtype itself differs), indices out of range (torch raises), aliasing and in-place writes,
optimizer conventions (the contract steps the candidate's variables with its own optimizer), initial values and weight names.
"""


def _card(rule: Rule) -> str:
    applies = ", ".join(f"`{op}`" for op in rule.ops)
    if rule.functions is not None:
        applies = f"functions of the source named like `{rule.functions.pattern}`"
    stage = "" if rule.stage == "forward_f64" else f" First seen in `{rule.stage}`."
    return (
        f"### `{rule.code}`: {rule.title}\n\n"
        f"* Wrong: {rule.wrong}\n* Right: {rule.right}\n* Shows: {rule.shows}.{stage}\n"
        f"* Applies to {applies}.\n"
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD.format(count=len(RULES))]
    for area, rules in AREAS.items():
        parts.append(f"## {area}\n")
        parts += [_card(rule) for rule in rules]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
