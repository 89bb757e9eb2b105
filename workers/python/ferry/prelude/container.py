"""Containers with torch's paths (`0.weight`): Sequential with its call rule, and what may be derived from."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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


class ModuleList(Sequential):
    """A list of children, for classes that derive from it; it can't be called itself."""

    def __init__(
        self, modules: Iterable[Callable[..., Any]] = (), rngs: nnx.Rngs | None = None
    ) -> None:
        super().__init__(*modules)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """A list computes nothing."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def extend(self, modules: Iterable[Callable[..., Any]]) -> "ModuleList":
        """Add children at the end."""
        for module in modules:
            self.append(module)
        return self


class ModuleDict(Module):
    """Children by name, in the order they were added, for classes that derive from it."""

    names: tuple[str, ...] = ()

    def __init__(
        self,
        modules: Mapping[str, Callable[..., Any]] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.update(modules or {})

    def __getitem__(self, name: str) -> Any:
        """One child."""
        return getattr(self, name)

    def __setitem__(self, name: str, child: Callable[..., Any]) -> None:
        """Add or replace one child."""
        self.names = self.names if name in self.names else (*self.names, name)
        setattr(self, name, child)

    def __contains__(self, name: str) -> bool:
        """Whether there is a child of this name."""
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        """The names in order."""
        return iter(self.names)

    def __len__(self) -> int:
        """The number of children."""
        return len(self.names)

    def keys(self) -> tuple[str, ...]:
        """The names in order."""
        return self.names

    def values(self) -> list[Any]:
        """The children in order."""
        return [getattr(self, name) for name in self.names]

    def items(self) -> list[tuple[str, Any]]:
        """Names and children in order."""
        return [(name, getattr(self, name)) for name in self.names]

    def update(self, modules: Mapping[str, Callable[..., Any]]) -> None:
        """Add or replace children."""
        for name, child in modules.items():
            self[name] = child

    def add_module(self, name: str, module: Callable[..., Any]) -> None:
        """Add or replace one child."""
        self[name] = module
