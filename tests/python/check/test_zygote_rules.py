"""The step is imported before a fork: that must not start a backend."""

from __future__ import annotations

import os
import subprocess
import sys

from oracles import PACKAGE

PROGRAM = """
import pkgutil, importlib
import ferry.check
for module in pkgutil.iter_modules(ferry.check.__path__, "ferry.check."):
    importlib.import_module(module.name)
from jax._src import xla_bridge
assert not xla_bridge._backends, xla_bridge._backends
"""


def test_import_starts_no_backend() -> None:
    """A child forked after a backend has started hangs for good."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=env, timeout=60)
