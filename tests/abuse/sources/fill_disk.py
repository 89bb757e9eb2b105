"""Fills shared memory, then the disk."""

import os

try:
    with open("/dev/shm/fill", "wb") as file:
        file.write(b"x")
    answer = "/dev/shm"
except OSError:
    pass
n = 0
while True:
    with open(f"/tmp/fill{n}", "wb", buffering=0) as file:
        for _ in range(16):
            file.write(os.urandom(1 << 20))
    n += 1
