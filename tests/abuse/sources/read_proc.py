"""Looks for other processes, and for its own secrets."""

import os

found = []
for path in (
    "/proc/1/environ",
    "/proc/self/environ",
    "/proc/1/mem",
    "/proc/self/maps",
    "/proc/net/tcp",
):
    try:
        with open(path, "rb") as file:
            found.append((path, len(file.read(64))))
    except OSError:
        pass
if not found:
    os.listdir("/proc")
    raise PermissionError("no process to be seen")
answer = str(found)
