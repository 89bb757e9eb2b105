"""Writes through a read-only input and reopens descriptors for writing."""

import os

failures = []
for fd in range(32):
    try:
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDWR))
        answer = f"reopened {fd}"
    except OSError as error:
        failures.append(error)
if len(failures) == 32:
    raise failures[0]
