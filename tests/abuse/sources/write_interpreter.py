"""Changes the libraries that others import."""

import os

import ferry.step
import numpy

failures = []
for path in (
    os.__file__,
    numpy.__file__,
    ferry.step.__file__,
    "/usr/lib/evil.so",
    "/ferry/evil",
    "/evil",
):
    try:
        with open(path, "a") as file:
            file.write("\n")
        answer = path
    except OSError as error:
        failures.append(error)
if len(failures) == 6:
    raise failures[0]
