"""Models that are no `nnx.Module`: trees of arrays and Linen modules, held by one.

All arrays of a tree become variables with the path of the leaf as their name: parameters where
they are floating, but only below ``params`` if the tree has such a part (Linen's collections).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from ferry.check.adapter import Adapter
from ferry.check.precision import is_floating

#: Arguments by which Linen modules are told the mode, with their value in train mode.
MODES = {"train": True, "training": True, "is_training": True, "deterministic": False,
         "use_running_average": False}  # fmt: skip


class State(nnx.Variable[Any]):
    """An array of a tree that is not trained."""


class TreeModel(nnx.Module):
    """A tree of arrays as a module; what else the tree has stays as it is."""

    def __init__(self, tree: Any, adapter: Adapter) -> None:
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(tree)
        self.adapter = nnx.static(adapter)
        self.training = False
        self.names = tuple(_name(path) if _is_array(leaf) else "" for path, leaf in leaves)
        self.rest = nnx.static(tuple(None if _is_array(leaf) else leaf for _, leaf in leaves))
        parted = isinstance(tree, Mapping) and "params" in tree
        self.declares_trained = parted
        for name, (_, leaf) in zip(self.names, leaves, strict=True):
            if name:
                trained = is_floating(leaf.dtype) and not (
                    parted and name.split(".")[0] != "params"
                )
                setattr(self, name, (nnx.Param if trained else State)(leaf))

    def train(self, **attributes: Any) -> None:
        """Switch to train mode."""
        self.training = True

    def eval(self, **attributes: Any) -> None:
        """Switch to eval mode."""
        self.training = False

    def tree(self) -> Any:
        """The tree with the values that the variables have now."""
        named = zip(self.names, self.rest, strict=True)
        leaves = [getattr(self, name).get_value() if name else leaf for name, leaf in named]
        return jax.tree_util.tree_unflatten(self.structure, leaves)

    def update(self, tree: Any) -> None:
        """Take the values of a tree of the same structure."""
        for name, leaf in zip(self.names, jax.tree_util.tree_leaves(tree), strict=True):
            if name:
                getattr(self, name).set_value(leaf)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.training and self.adapter.step is not None:
            output, tree = self.adapter.step(self.tree(), list(args), kwargs)
            self.update(tree)
            return output
        return self.adapter.call_with(self.tree(), list(args), kwargs, self.training)


class LinenModel(TreeModel):
    """A Linen module with its collections of variables."""

    def __init__(self, module: linen.Module, tree: Any, adapter: Adapter) -> None:
        super().__init__(tree, adapter)
        self.module = nnx.static(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.adapter.call is not None or self.adapter.step is not None:
            return super().__call__(*args, **kwargs)
        kwargs = {**mode_arguments(self.module, self.training), **kwargs}
        tree = self.tree()
        if not self.training:
            return self.module.apply(tree, *args, **kwargs)
        changing = [name for name in tree if name != "params"]
        streams = {"dropout": jax.random.key(0)}
        output, changed = self.module.apply(tree, *args, **kwargs, rngs=streams, mutable=changing)
        self.update({**tree, **changed})
        return output


def mode_arguments(module: linen.Module, train: bool) -> dict[str, bool]:
    """The arguments that tell a Linen module its mode, as far as its call takes them."""
    known = inspect.signature(type(module).__call__).parameters
    return {name: value == train for name, value in MODES.items() if name in known}


def linen_tree(module: linen.Module, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
    """The shapes of a Linen module's variables, from a call on example arguments."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    named = {**mode_arguments(module, False), **kwargs}
    return jax.eval_shape(lambda: module.init(keys, *args, **named))


Example = Callable[[], tuple[list[Any], dict[str, Any]]]


def held(construct: Callable[[], Any], adapter: Adapter, example: Example) -> Callable[[], Any]:
    """`construct`, with what is no `nnx.Module` in one; `example` gives arguments of a call."""
    shapes: list[Any] = []

    def build() -> Any:
        made = construct()
        if isinstance(made, nnx.Module):
            return made
        if not isinstance(made, linen.Module):
            return TreeModel(made, adapter)
        if not shapes:
            args, kwargs = example()
            shapes.append(linen_tree(made, args, kwargs))
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes[0])
        return LinenModel(made, zeros, adapter)

    return build


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (jax.Array, np.ndarray))


def _name(path: tuple[Any, ...]) -> str:
    """``params.Dense_0.kernel`` for the path of a leaf."""
    parts = (getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))) for key in path)
    return ".".join(str(part) for part in parts)
