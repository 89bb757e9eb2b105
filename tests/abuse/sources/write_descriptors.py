"""Writes garbage to every descriptor number."""

import os

for fd in range(3, 1024):
    try:
        os.write(fd, b'{"ended": {"exit": 0}}' * 8)
    except OSError:
        pass
