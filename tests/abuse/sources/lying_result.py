"""Writes a result of its own that claims success, and tensor files with impossible sizes."""

import contextlib
import os

for fd in range(3, 64):
    with contextlib.suppress(OSError):
        os.write(
            fd,
            b"\xff" * 8
            + b'{"w": {"dtype": "F64", "shape": [1099511627776], "data_offsets": [0, 9]}}',
        )
os._exit(0)
