"""The hostile sources, and how each must end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SOURCES = Path(__file__).parent / "sources"

LIMITS = {
    "wall_ms": 20000,
    "cpu_s": 5,
    "memory_bytes": 1 << 30,
    "processes": 64,
    "output_bytes": 1 << 20,
    "file_bytes": 32 << 20,
}


@dataclass(frozen=True)
class Hostile:
    """One source: the reasons that its failure may have, and limits that differ from `LIMITS`."""

    name: str
    reasons: tuple[str, ...]
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The text of the source."""
        return (SOURCES / f"{self.name}.py").read_text()


HOSTILE = (
    Hostile("fork_bomb", ("limit_processes",)),
    Hostile("thread_bomb", ("limit_processes",)),
    Hostile("memory_bomb", ("limit_memory",)),
    Hostile("mmap_bomb", ("limit_memory",)),
    Hostile("shared_mmap", ("source_import",)),
    Hostile("endless_print", ("limit_output",)),
    Hostile("cpu_burn", ("limit_cpu",), {"cpu_s": 2}),
    Hostile("ignore_signals", ("limit_cpu",), {"cpu_s": 2}),
    Hostile("sleep_forever", ("limit_wall",), {"wall_ms": 2000}),
    Hostile("huge_output_file", ("limit_file_size",)),
    Hostile("fill_disk", ("source_import",)),
    Hostile("read_passwd", ("source_import",)),
    Hostile("read_shadow", ("source_import",)),
    Hostile("read_proc", ("source_import",)),
    Hostile("read_root", ("source_import",)),
    Hostile("read_environment", ("source_import",)),
    Hostile("other_tensors", ("source_import",)),
    Hostile("write_memory", ("source_import",)),
    Hostile("write_interpreter", ("source_import",)),
    Hostile("connect", ("source_import",)),
    Hostile("ptrace_parent", ("source_import",)),
    Hostile("signal_parent", ("source_import",)),
    Hostile("unshare_mount", ("source_import",)),
    Hostile("kernel_interfaces", ("source_import",)),
    Hostile("run_program", ("source_import",)),
    Hostile("symlink_output", ("source_import",)),
    Hostile("write_descriptors", ("result_invalid",)),
    Hostile("lying_result", ("result_invalid",)),
    Hostile("os_exit", ("step_crashed",)),
    Hostile("segfault", ("step_crashed",)),
    Hostile("daemon_grandchild", ("step_crashed",)),
    Hostile("delete_modules", ("source_import", "step_crashed")),
)
