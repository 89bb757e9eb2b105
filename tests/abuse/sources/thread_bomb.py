"""Starts threads as fast as it can."""

import threading
import time

while True:
    try:
        threading.Thread(target=time.sleep, args=(1000,)).start()
    except RuntimeError:
        pass
