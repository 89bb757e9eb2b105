"""Waits without end."""

import time

while True:
    time.sleep(1000)
