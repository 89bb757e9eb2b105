"""A stand-in for numba: its decorators change nothing."""

from collections.abc import Callable
from typing import Any


def jit(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """The function itself."""
    return lambda function: function
