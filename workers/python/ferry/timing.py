"""How long a call takes, for the report; nothing is decided by it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

#: Seconds that may be spent on measuring, beyond the one call that is always made.
BUDGET = 0.03
CALLS = 9


def typical_seconds(call: Callable[[], object]) -> float | None:
    """The median wall seconds of up to `CALLS` calls within the budget; None where one fails.

    `call` has run before (compiled, warm), and what it returns is complete.
    """
    found: list[float] = []
    try:
        while not found or (len(found) < CALLS and sum(found) < BUDGET):
            started = time.perf_counter()
            call()
            found.append(time.perf_counter() - started)
    except (Exception, SystemExit):  # a second call on what the first one left may fail in any way
        return None
    return float(f"{statistics.median(found):.3g}")
