"""The Linux calls of the sandbox that Python has no function for.

Thin: one function a call, each raises `OSError`. Numbers are those of the generic system call
table and of x86-64, which agree for every call used here.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

# PyDLL keeps the interpreter lock during a call: a clone must not give it away.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

SYS_CLONE3 = 435
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446

CLONE_PIDFD = 0x1000
CLONE_CHILD_SETTID = 0x01000000
CLONE_CHILD_CLEARTID = 0x00200000
NAMESPACES = {
    "userns": 0x10000000,
    "mountns": 0x00020000,
    "pidns": 0x20000000,
    "netns": 0x40000000,
    "ipcns": 0x08000000,
    "utsns": 0x04000000,
}

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_REC, MS_PRIVATE = 0x4000, 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_GET_TID_ADDRESS = 40
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
# No-root, no-setuid-fixup and no-ambient-raise, each locked.
SECUREBITS_LOCKED = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | 0x80


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
        )
    ]


def tid_address() -> int:
    """Where the C library keeps this thread's id: a raw clone must renew it in the child.

    With the old id in place a thread of the child may get the same id as its main thread, and
    the C library would take one for the owner of the other's locks.
    """
    address = ctypes.c_uint64()
    _check(_libc.prctl(PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0), "thread id address")
    return address.value


def fork_into(namespaces: int) -> tuple[int, int]:
    """Fork into new `namespaces`; returns (pid, pidfd), or (0, -1) in the child."""
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(
        flags=namespaces | CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
        pidfd=ctypes.addressof(pidfd),
        child_tid=tid_address(),
        exit_signal=17,
    )
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _libc.syscall(SYS_CLONE3, ctypes.byref(args), ctypes.sizeof(args))
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, -1
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone3: {os.strerror(number)}")
    return int(pid), pidfd.value


def mount(
    source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2)."""
    text = [s.encode() if s is not None else None for s in (source, target, kind, data)]
    result = _libc.mount(text[0], text[1], text[2], ctypes.c_ulong(flags), text[3])
    _check(result, f"mount {target}")


def set_hostname(name: str) -> None:
    """sethostname(2)."""
    _check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def prctl(option: int, value: int = 0) -> int:
    """prctl(2) with one argument."""
    return _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def drop_capabilities() -> None:
    """Give every capability up, of every set, and lock that."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one that this kernel knows
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    prctl(PR_SET_SECUREBITS, SECUREBITS_LOCKED)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def load_filter(code: bytes) -> None:
    """Put a seccomp program (an array of 8-byte BPF instructions) on this process for good."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    result = _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    _check(result, "seccomp")


def landlock(number: int, *args: Any) -> int:
    """One of the three Landlock calls."""
    return _check(_libc.syscall(number, *args), "landlock")
