"""Takes the interpreter apart."""

import builtins
import sys

for name in list(sys.modules):
    if name not in ("builtins", "sys"):
        del sys.modules[name]
for name in ("open", "print", "isinstance", "len", "__import__"):
    delattr(builtins, name)
raise RuntimeError("nothing left")
