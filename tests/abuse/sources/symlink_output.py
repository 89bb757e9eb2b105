"""Puts links to secrets where somebody may look for output."""

import os

os.symlink("/etc/shadow", "/tmp/result")
os.symlink("/proc/self/fd/3", "/tmp/expected")
os.link("/ferry/package/ferry/step.py", "/tmp/step.py")
answer = os.listdir("/tmp")
