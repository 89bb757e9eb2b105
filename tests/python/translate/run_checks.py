"""Runs the check step on the requests of a folder; started under the jax interpreter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ferry.check import check
from ferry.step import MemoryContext

folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    request = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    context = MemoryContext(request, {"given": (folder / f"{name}.given").read_bytes()})
    result = check.run(context)
    (folder / f"{name}.result").write_text(json.dumps(result), encoding="utf-8")
    (folder / f"{name}.actual").write_bytes(context.outputs["actual"])
