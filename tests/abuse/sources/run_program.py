"""Runs a shell."""

import subprocess

answer = subprocess.run(["/bin/sh", "-c", "id"], capture_output=True, check=True).stdout.decode()
