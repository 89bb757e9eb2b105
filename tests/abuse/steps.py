"""Steps for the tests of the sandbox: takes the place of `ferry/steps.py` in a copy of the package.

`exec` imports the code of its request as the source of a model is imported; what the code
assigns to `answer` comes back. An exception is the source's fault, as it is in a real job.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from typing import Any

from ferry.files import FileFinder
from ferry.step import Context, Json, StepError

Step = Callable[[Context], Json]

LIBRARIES = {"torch": ("torch", "numpy"), "jax": ("jax", "flax.nnx", "numpy")}


def run_exec(ctx: Context) -> Json:
    """Import the request's code as the module `hostile`; write what it leaves in `tensors`."""
    FileFinder([{"path": "hostile.py", "content": ctx.request["code"]}]).install()
    try:
        module: Any = importlib.import_module("hostile")
    except Exception as error:
        raise StepError(
            "source_import", f"{type(error).__name__}: {error}", traceback=traceback.format_exc()
        ) from error
    for name, data in getattr(module, "tensors", {}).items():
        ctx.write(name, data)
    return {"answer": getattr(module, "answer", None)}


def load_environment(env: str) -> dict[str, Step]:
    """The test step, after the environment's libraries."""
    for library in LIBRARIES[env]:
        importlib.import_module(library)
    return {"exec": run_exec}
