"""How many broken records and rules of the builtin engine its tests notice.

    PYTHONPATH=workers/python build/envs/torch/bin/python tests/bench/mutation.py [records|rules] [--every N]

One record of the operation tables, or one function of the rules, is broken at a time, in memory
(tests/python/mutation). Printed are killed and surviving mutants per table or file and each
survivor that is not listed as equivalent; exit status 1 where there is one.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parents[1] / "python"
sys.path[:0] = [str(TESTS / "mutation"), str(TESTS / "translate")]

from equivalent import why_equivalent  # noqa: E402
from record_mutants import of_records  # noqa: E402
from record_runs import killers  # noqa: E402
from rule_mutants import of_functions  # noqa: E402
from rule_runs import killer  # noqa: E402

RECORD_TABLES = ("create", "shape", "index", "reduce", "pointwise", "linalg", "nn", "meta")


def records(every: int) -> dict[str, dict[str, str]]:
    """By table and mutant: what noticed it."""
    tables: dict[str, ModuleType] = {
        name: importlib.import_module(f"ferry.translate.table.{name}") for name in RECORD_TABLES
    }
    chosen = {name: of_records(table.RECORDS)[::every] for name, table in tables.items()}
    with tempfile.TemporaryDirectory() as folder:
        killed = killers([m for mutants in chosen.values() for m in mutants], Path(folder))
    return {name: {m.name: killed[m.name] for m in mutants} for name, mutants in chosen.items()}


def rules(every: int) -> dict[str, dict[str, str]]:
    """By file of rules and mutant: what noticed it."""
    found: dict[str, dict[str, str]] = {}
    for mutant in of_functions()[::every]:
        found.setdefault(mutant.file, {})[mutant.name] = killer(mutant)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=["records", "rules"])
    parser.add_argument("--every", type=int, default=1, help="only each Nth mutant")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    made = {"records": records, "rules": rules}
    survivors: list[str] = []
    print("| of | mutants | killed | equivalent | survived |\n| --- | --- | --- | --- | --- |")
    for which in [options.which] if options.which else made:
        for table, found in made[which](options.every).items():
            state = {
                name: "killed" if by else "equivalent" if why_equivalent(name) else "survived"
                for name, by in found.items()
            }
            count = collections.Counter(state.values())
            figures = " | ".join(str(count[k]) for k in ("killed", "equivalent", "survived"))
            print(f"| {table} | {len(found)} | {figures} |", flush=True)
            survivors += [name for name, was in state.items() if was == "survived"]
    print("\n" + "\n".join(survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
