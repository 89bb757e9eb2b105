"""Looks for secrets in the environment."""

import os

words = ("KEY", "TOKEN", "SECRET", "PASSWORD", "SSH", "FERRYD", "CREDENTIAL")
found = {
    name: value for name, value in os.environ.items() if any(word in name.upper() for word in words)
}
known = {
    "PATH",
    "HOME",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "PWD",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "MALLOC_ARENA_MAX",
    "PYTHONHASHSEED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHONPATH",
    "JAX_PLATFORMS",
    "XLA_FLAGS",
    "TF_CPP_MIN_LOG_LEVEL",
    "LD_LIBRARY_PATH",
    "LC_CTYPE",
}
found |= {
    name: value for name, value in os.environ.items() if name not in known and "TORCH" not in name
}
if not found:
    raise PermissionError("no secrets here")
answer = found
