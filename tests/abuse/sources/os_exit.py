"""Ends the process in the middle."""

import os

os._exit(0)
