"""Makes the files that are handed back as large as it can."""

import os

for fd in range(3, 64):
    try:
        os.ftruncate(fd, 1 << 40)
    except OSError:
        pass
while True:
    for fd in range(3, 64):
        try:
            os.write(fd, b"\0" * (1 << 20))
        except OSError:
            pass
