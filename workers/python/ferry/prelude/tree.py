"""Classes of a source that count as trees of arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import jax


def register_tree(
    cls: type,
    flatten: Callable[[Any], tuple[Sequence[Any], Any]],
    unflatten: Callable[[Sequence[Any], Any], Any],
) -> None:
    """Have jax take instances apart with `flatten`, into children and a context of keys, and
    put them together with `unflatten`, which takes the same two."""

    def taken_apart(value: Any) -> tuple[Sequence[Any], Any]:
        children, context = flatten(value)
        return children, tuple(context) if isinstance(context, list) else context

    def put_together(context: Any, children: Sequence[Any]) -> Any:
        return unflatten(children, context)

    jax.tree_util.register_pytree_node(cls, taken_apart, put_together)
