"""Prints without end."""

while True:
    print("all work and no play " * 100)
