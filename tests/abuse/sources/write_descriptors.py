"""Writes garbage to every descriptor number."""

import contextlib
import os

for fd in range(3, 1024):
    with contextlib.suppress(OSError):
        os.write(fd, b'{"ended": {"exit": 0}}' * 8)
