"""A stand-in for torchvision, which the benched packages import and their models do not use.

Every name of it, and every attribute of such a name, is a class that says so when it is used.
"""

from typing import Any


class _Names(type):
    def __getattr__(cls, name: str) -> type:
        return __getattr__(name)


class Missing(metaclass=_Names):
    """What a name of torchvision stands for here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("torchvision is not installed")


def __getattr__(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Names(name, (Missing,), {})
