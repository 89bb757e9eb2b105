"""Looks into the home of root."""

import os

answer = os.listdir("/root")
