"""Sequential, with torch's paths (`0.weight`) and torch's call rule."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flax import nnx

from ferry.prelude.base import Module


class Sequential(Module):
    """Calls its children in order, each with the one value that the child before returned.

    Children are attributes named "0", "1", ... or by the keys of one mapping.
    """

    def __init__(
        self,
        *children: Callable[..., Any] | Mapping[str, Callable[..., Any]],
        rngs: nnx.Rngs | None = None,
    ) -> None:
        only = children[0] if len(children) == 1 else None
        numbered = {str(index): child for index, child in enumerate(children)}
        named = only if isinstance(only, Mapping) else numbered
        self.names = tuple(named)
        for name, child in named.items():
            setattr(self, name, child)

    def forward(self, input: Any) -> Any:
        """Apply every child."""
        for child in self:
            input = child(input)
        return input

    def __iter__(self) -> Iterator[Any]:
        """The children in order."""
        return (getattr(self, name) for name in self.names)

    def __len__(self) -> int:
        """The number of children."""
        return len(self.names)

    def __getitem__(self, index: int | slice) -> Any:
        """One child, or a Sequential of the sliced children under their own names."""
        if isinstance(index, slice):
            return Sequential({name: getattr(self, name) for name in self.names[index]})
        return getattr(self, self.names[index])

    def __setitem__(self, index: int, child: Callable[..., Any]) -> None:
        """Replace one child."""
        setattr(self, self.names[index], child)

    def add_module(self, name: str, module: Callable[..., Any]) -> None:
        """Add a child at the end under a name of its own."""
        if name not in self.names:
            self.names = (*self.names, name)
        setattr(self, name, module)

    def append(self, child: Callable[..., Any]) -> "Sequential":
        """Add a child at the end, named by its position."""
        name = str(len(self.names))
        self.names = (*self.names, name)
        setattr(self, name, child)
        return self
