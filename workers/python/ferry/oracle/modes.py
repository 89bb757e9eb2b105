"""The base of our dispatch modes."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_Untyped: Any = TorchDispatchMode


class EagerMode(_Untyped):
    """A dispatch mode that is never compiled: the default wrapper imports the compiler (0.7 s)."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
