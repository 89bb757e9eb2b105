"""Forks as fast as it can, and again when it may not."""

import contextlib
import os

while True:
    with contextlib.suppress(OSError):
        os.fork()
