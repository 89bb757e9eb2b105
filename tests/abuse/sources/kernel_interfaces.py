"""Calls the parts of the kernel that exploits like."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "keyctl": 250,
    "add_key": 248,
    "memfd_create": 319,
    "personality": 135,
    "shmget": 29,
    "clone3": 435,
    "seccomp": 317,
    "open_by_handle_at": 304,
    "init_module": 175,
    "kexec_load": 246,
    "pidfd_open": 434,
    "fsopen": 430,
}
open_calls = [name for name, number in CALLS.items() if libc.syscall(number, 0, 0, 0, 0, 0, 0) >= 0]
if not open_calls:
    raise OSError(ctypes.get_errno(), "no call went through")
answer = open_calls
