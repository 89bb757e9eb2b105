"""Makes itself root in a new namespace and mounts."""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, NEWNS = 0x10000000, 0x20000
if libc.unshare(NEWUSER | NEWNS) == 0:
    answer = "unshared"
if libc.syscall(56, NEWUSER | 17, None, None, None, None) > 0:  # clone
    answer = "cloned"
if libc.umount2(b"/proc", 2) == 0 or libc.mount(b"proc", b"/tmp", b"proc", 0, None) == 0:
    answer = "mounted"
if libc.chroot(b"/tmp") == 0 or libc.setns(0, 0) == 0:
    answer = "moved"
if "answer" not in globals():
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
