"""Leaves a grandchild behind and ends."""

import contextlib
import ctypes
import os
import time

if os.fork() == 0:
    with contextlib.suppress(OSError):
        os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"ferry-ghost")
        while True:
            time.sleep(1)
    os._exit(0)
time.sleep(0.2)
os._exit(0)
