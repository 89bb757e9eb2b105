"""What the processes of one step use, read from /proc by the zygote.

A step is a process group that nobody can leave (`ferry.confine`). Resident anonymous and shared
memory is summed over its processes, so pages that two of them share count twice: a limit on
memory may end a step that forks early, never late.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from ferry.confine import Limits

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Of all live processes of one group."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    tasks: int = 0

    def exceeded(self, limits: Limits) -> str | None:
        """The limit that is passed, if one is."""
        if self.memory_bytes > limits.memory_bytes:
            return "memory"
        if self.tasks > limits.processes:
            return "processes"
        if self.cpu_s > limits.cpu_s:
            return "cpu"
        return None


def measure(groups: Iterable[int]) -> dict[int, Usage]:
    """What each process group of `groups` uses now."""
    usages = {group: Usage() for group in groups}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            _add_process(usages, name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return usages


def _add_process(usages: dict[int, Usage], pid: str) -> None:
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The name may hold anything, also spaces and parentheses: count from its end.
        fields = file.read().rpartition(b")")[2].split()
    usage = usages.get(int(fields[2]))
    if usage is None:
        return
    usage.cpu_s += sum(map(int, fields[11:15])) / _TICKS
    usage.tasks += int(fields[17])
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith((b"RssAnon:", b"RssShmem:")):
                usage.memory_bytes += int(line.split()[1]) << 10


def file_bytes(fds: Iterable[int]) -> int:
    """Memory that the files behind `fds` take."""
    return sum(os.fstat(fd).st_blocks * 512 for fd in fds)
