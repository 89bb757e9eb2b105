"""Takes memory and touches it."""

blocks = []
while True:
    blocks.append(b"x" * (32 << 20))
