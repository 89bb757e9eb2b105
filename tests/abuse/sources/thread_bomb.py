"""Starts threads as fast as it can."""

import contextlib
import threading
import time

while True:
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=time.sleep, args=(1000,)).start()
