"""How large the values of an integer argument may be, by what it indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ferry.oracle.modes import EagerMode
from ferry.oracle.trees import Leaves

# operation → (position of the index, position of what is indexed, position of the axis or None)
INDEXED: dict[str, tuple[int, int, int | None]] = {
    "embedding": (1, 0, None),
    "_embedding_bag": (1, 0, None),
    "_embedding_bag_forward_only": (1, 0, None),
    "index_select": (2, 0, 1),
    "gather": (2, 0, 1),
    "scatter": (2, 0, 1),
    "scatter_": (2, 0, 1),
    "scatter_add": (2, 0, 1),
    "scatter_add_": (2, 0, 1),
    "index_add": (2, 0, 1),
    "nll_loss_forward": (1, 0, None),
    "nll_loss2d_forward": (1, 0, None),
}
LOSSES = {"nll_loss_forward", "nll_loss2d_forward"}


class IndexBounds(EagerMode):
    """Follows integer arguments through a run; `found` has the smallest bound by argument path."""

    def __init__(self, leaves: Leaves) -> None:
        super().__init__()
        self.found: dict[str, int] = {}
        self._from: dict[int, set[str]] = {}
        self._alive: list[Tensor] = []
        for path, leaf in leaves.items():
            if not leaf.is_floating_point() and not leaf.is_complex():
                self._mark(leaf, {path})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in INDEXED:
            index, target, axis = INDEXED[name]
            dim = 0 if axis is None else int(args[axis])
            if name in LOSSES:
                dim = min(1, args[target].ndim - 1)
            self._bound(args[index], args[target], dim)
        elif name in ("index", "index_put", "index_put_"):
            for dim, index in enumerate(args[1]):
                if index is not None:
                    self._bound(index, args[0], dim)
        self._follow(args, result)
        return result

    def _bound(self, index: Tensor, target: Tensor, dim: int) -> None:
        size = target.shape[dim] if target.ndim else 1
        for path in self._origins(index):
            self.found[path] = min(size, self.found.get(path, size))

    def _origins(self, tensor: Tensor) -> set[str]:
        return self._from.get(tensor.untyped_storage().data_ptr(), set())

    def _mark(self, tensor: Tensor, paths: set[str]) -> None:
        if tensor.numel():
            self._from.setdefault(tensor.untyped_storage().data_ptr(), set()).update(paths)
            self._alive.append(tensor)

    def _follow(self, args: Any, result: Any) -> None:
        if isinstance(result, Tensor) and not result.is_floating_point():
            origins = {path for tensor in _tensors(args) for path in self._origins(tensor)}
            if origins:
                self._mark(result, origins)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
