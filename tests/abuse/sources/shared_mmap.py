"""Hides memory in a shared mapping that is not resident any more."""

import mmap

hidden = []
while True:
    piece = mmap.mmap(-1, 64 << 20)
    piece.write(b"x" * len(piece))
    piece.madvise(mmap.MADV_DONTNEED)
    hidden.append(piece)
