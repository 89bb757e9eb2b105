"""Looks for the tensors of other steps: in files and in inherited descriptors."""

import os
import stat

found = []
for top in ("/tmp", "/dev/shm", "/var", "/run", "/home", "/mnt", "/data"):
    for folder, _, names in os.walk(top):
        found += [os.path.join(folder, name) for name in names]
own = 0
for fd in range(3, 4096):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    if not stat.S_ISREG(mode):
        found.append(f"descriptor {fd} of mode {mode:o}")
    own += 1
if own > 10:
    found.append(f"{own} files")
if not found:
    raise PermissionError("nothing but our own")
answer = found
