"""Captures several sources in one torch process; started under the torch interpreter.

``capture_sources.py FOLDER`` reads FOLDER/sources.json, an object of requests with a `recipe` by name, and leaves
{name}.json and {name}.{given,expected}.safetensors there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ferry.oracle import capture, inspect_step
from ferry.step import MemoryContext

folder = Path(sys.argv[1])
for name, request in json.loads((folder / "sources.json").read_text()).items():
    inspected = inspect_step.run(MemoryContext(request))
    context = MemoryContext({**request, "inspected": inspected})
    captured = capture.run(context)
    (folder / f"{name}.json").write_text(json.dumps({**captured, "inspected": inspected}))
    for part, data in context.outputs.items():
        (folder / f"{name}.{part}.safetensors").write_bytes(data)
