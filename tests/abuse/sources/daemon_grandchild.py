"""Leaves a grandchild behind and ends."""

import ctypes
import os
import time

if os.fork() == 0:
    try:
        os.setsid()
    except OSError:
        pass
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"ferry-ghost")
        while True:
            time.sleep(1)
    os._exit(0)
time.sleep(0.2)
os._exit(0)
