"""Maps memory in large pieces and touches each page."""

import mmap

maps = []
while True:
    piece = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(piece), 4096):
        piece[offset] = 1
    maps.append(piece)
