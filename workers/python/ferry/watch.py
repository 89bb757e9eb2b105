"""What the processes of one step use, read from /proc by the zygote.

A step is a process group that nobody can leave (`ferry.confine`). Its resident anonymous and
shared memory is summed over its processes. That counts pages twice that two of them share, so
where the sum is too large, the kernel's proportional figure decides, which is slower to get.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ferry.confine import Limits

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Of all live processes of one group."""

    pids: list[int] = field(default_factory=list)
    cpu_s: float = 0.0
    resident_bytes: int = 0
    tasks: int = 0

    def exceeded(self, limits: Limits, files: Iterable[int]) -> str | None:
        """The limit that is passed, if one is; `files` are in memory, too."""
        if self.tasks > limits.processes:
            return "processes"
        if self.cpu_s > limits.cpu_s:
            return "cpu"
        room = limits.memory_bytes - sum(os.fstat(fd).st_blocks * 512 for fd in files)
        if self.resident_bytes > room and self._proportional_bytes() > room:
            return "memory"
        return None

    def _proportional_bytes(self) -> int:
        if len(self.pids) == 1:
            return self.resident_bytes
        return sum(map(_proportional_bytes, self.pids))


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
    usage.pids.append(int(pid))
    usage.cpu_s += sum(map(int, fields[11:15])) / _TICKS
    usage.tasks += int(fields[17])
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith((b"RssAnon:", b"RssShmem:")):
                usage.resident_bytes += int(line.split()[1]) << 10


def _proportional_bytes(pid: int) -> int:
    """Memory of a process, each page divided by the number of processes that share it."""
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                    total += int(line.split()[1]) << 10
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return total
