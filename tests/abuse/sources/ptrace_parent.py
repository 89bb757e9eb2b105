"""Attaches to every process it can name, and reads its memory."""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PROCESS_VM_READV = 16, 310
for pid in (os.getppid(), *range(1, 200)):
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
        answer = f"traces {pid}"
    buffer = ctypes.create_string_buffer(64)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    if pid != os.getpid() and libc.syscall(PROCESS_VM_READV, pid, vector, 1, vector, 1, 0) > 0:
        answer = f"reads {pid}"
if "answer" not in globals():
    raise OSError(ctypes.get_errno(), "nothing to trace")
