"""What a step gives up before it reads anything that a caller or a model wrote.

The parts are done in a fixed order, because each needs what a later one takes away. A part of
`REQUIRED` that fails ends the step; Landlock is used where the kernel has it. What `confine`
returns is what really is in force, part by part.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ferry import kernel

NOBODY = 65534
TMP_BYTES = 64 << 20
OPEN_FILES = 256


class ConfineError(Exception):
    """A part of the confinement does not work here."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.why = why


@dataclass(frozen=True)
class Limits:
    """What one step may use."""

    cpu_s: int
    memory_bytes: int
    processes: int
    file_bytes: int


@dataclass(frozen=True)
class Plan:
    """What confining needs from the zygote, gathered before the first step."""

    weak: bool
    step_filter: bytes
    proc_files: dict[str, bytes]
    data_bytes: int

    @classmethod
    def gather(cls, *, weak: bool, filter_fd: int) -> Plan:
        """Read the step's filter, and what of /proc numerical libraries need."""
        with open(filter_fd, "rb") as file:
            step_filter = file.read()
        proc_files = {name: _read(f"/proc/{name}") for name in ("cpuinfo", "meminfo")}
        return cls(weak, step_filter, proc_files, _data_bytes())

    def namespaces(self) -> int:
        """Flags for the clone that makes a step."""
        return 0 if self.weak else sum(kernel.NAMESPACES.values())


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _data_bytes() -> int:
    """Private writable memory of this process, shared with every step until written to."""
    for line in _read("/proc/self/status").splitlines():
        if line.startswith(b"VmData:"):
            return int(line.split()[1]) << 10
    return 0


def confine(plan: Plan, limits: Limits, keep: Iterable[int]) -> list[str]:
    """Confine this process for good; only the descriptors of `keep` stay open."""
    done: list[str] = []

    def part(name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            raise ConfineError(name, str(error.strerror or error)) from error
        done.append(name)

    os.setpgid(0, 0)  # the watch counts the group, which the filter lets nobody leave
    if plan.weak:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        part("userns", map_user)
        done.extend(name for name in kernel.NAMESPACES if name != "userns")
        part("mounts", lambda: cover_mounts(plan.proc_files))
        kernel.set_hostname("ferry")
        part("capabilities", kernel.drop_capabilities)
    part("rlimits", lambda: set_rlimits(plan, limits))
    part("descriptors", lambda: close_others(keep))
    part("no_new_privs", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
    landlock_abi = landlock_version()
    if landlock_abi:
        part("landlock", lambda: restrict_files(landlock_abi, own_tmp=not plan.weak))
    part("seccomp", lambda: kernel.load_filter(plan.step_filter))
    return done


def map_user() -> None:
    """Be nobody in the new user namespace: first of all, or no file can be made below."""
    _write("/proc/self/uid_map", f"{NOBODY} {os.geteuid()} 1")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/gid_map", f"{NOBODY} {os.getegid()} 1")
    _write("/proc/self/oom_score_adj", "1000")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def cover_mounts(proc_files: dict[str, bytes]) -> None:
    """An empty /tmp of our own; /proc without processes, but with what libraries ask for."""
    safe = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", safe, f"size={TMP_BYTES},nr_inodes=4096,mode=1777")
    kernel.mount("tmpfs", "/proc", "tmpfs", safe, "size=1m,nr_inodes=64,mode=555")
    for name, data in proc_files.items():
        with open(f"/proc/{name}", "wb") as file:
            file.write(data)
    kernel.mount("tmpfs", "/proc", None, safe | kernel.MS_REMOUNT | kernel.MS_RDONLY)
    os.chdir("/tmp")


def set_rlimits(plan: Plan, limits: Limits) -> None:
    """The kernel's own limits, each a little behind what the zygote's watch enforces.

    The watch counts a whole tree and can say which limit was passed; these stop what is
    faster than the watch.
    """
    mebibyte = 1 << 20
    values = {
        resource.RLIMIT_CPU: limits.cpu_s + 2,
        resource.RLIMIT_DATA: plan.data_bytes + 2 * limits.memory_bytes + 1024 * mebibyte,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NPROC: limits.processes + 1,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_SIGPENDING: 256,
    }
    if plan.weak:  # then all that this user runs on the machine counts, not this step alone
        values[resource.RLIMIT_NPROC] += _tasks_of_user() + 64
    for what, value in values.items():
        hard = resource.getrlimit(what)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (most, most))


def _tasks_of_user() -> int:
    tasks = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                tasks += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue  # it ended while we looked
    return tasks


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor but those of `keep`."""
    low = 0
    for fd in (*sorted(set(keep)), 1 << 20):
        if low < fd:  # closerange(0, 0) would close all there are
            os.closerange(low, fd)
        low = fd + 1


def landlock_version() -> int:
    """ABI version of Landlock, 0 where the kernel has none or it is off."""
    try:
        return kernel.landlock(kernel.SYS_LANDLOCK_CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


_READ_FILE, _WRITE_FILE, _READ_DIR = 0x4, 0x2, 0x8
_EXECUTE, _TRUNCATE, _IOCTL_DEVICE = 0x1, 0x4000, 0x8000
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
# Rights to files that each ABI version handles; 4 added TCP ports, 6 signals and abstract sockets.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FILE_RIGHTS = (1 << 16) - 1
_SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/sys/devices/system/cpu", "/dev")
_PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/self")


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "ports", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def restrict_files(abi: int, *, own_tmp: bool) -> None:
    """Landlock: read the system and the environment, run nothing, connect nowhere.

    Writing is for /dev/null and, where it is this step's own, for /tmp.
    """
    rights = _FILE_RIGHTS.get(abi, _ALL_FILE_RIGHTS)
    ruleset = _Ruleset(rights, 0x3 if abi >= 4 else 0, 0x3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    fd = kernel.landlock(
        kernel.SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0
    )
    for path in {*_SYSTEM, *_PROC, sys.prefix, sys.base_prefix, *sys.path}:
        _allow(fd, path, _READ_FILE | _READ_DIR)
    _allow(fd, "/dev/null", _READ_FILE | _WRITE_FILE)
    if own_tmp:
        _allow(fd, "/tmp", rights & ~_EXECUTE)
    kernel.landlock(kernel.SYS_LANDLOCK_RESTRICT_SELF, fd, 0)
    os.close(fd)


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.exists(path):
        return
    if not os.path.isdir(path):
        rights &= _FOR_FILES
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(rights, parent)
        kernel.landlock(kernel.SYS_LANDLOCK_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
