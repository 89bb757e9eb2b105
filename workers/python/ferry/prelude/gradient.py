"""Values and gradients apart: custom gradients, frozen parameters, values set by hand."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ferry.prelude.base import Buffer


def with_data(old: jax.Array, new: jax.Array) -> jax.Array:
    """`new` in value, `old` in gradient: what `old.data = new` leaves."""
    new = lax.stop_gradient(jnp.asarray(new))
    if not jnp.issubdtype(old.dtype, jnp.inexact):
        return new
    return new + jnp.where(jnp.isfinite(old), old - lax.stop_gradient(old), 0)


def freeze(module: Any) -> Any:
    """Make all parameters of a module buffers, which are not trained."""
    frozen: dict[int, Buffer] = {}
    parts: list[Any] = [part for _, part in nnx.iter_modules(module)]
    for part in parts:
        for name, value in list(vars(part).items()):
            if isinstance(value, nnx.Param):
                setattr(part, name, frozen.setdefault(id(value), Buffer(value[...])))
    return module


class FunctionContext:
    """What the forward of a `Function` keeps for its backward."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep arrays; backward finds them in `saved_tensors`."""
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Accepted: gradients of such outputs arrive as zeros."""

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted: gradients always arrive as arrays."""


class Function:
    """A function with a gradient of its own: static methods `forward` and `backward`.

    `apply` calls `forward(ctx, *args)`, or `forward(*args)` and `setup_context(ctx, args,
    output)` where the class has one. `backward(ctx, *grads)` gives one gradient per argument.
    """

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The value of forward; differentiated by backward."""
        places = [i for i, a in enumerate(args) if isinstance(a, jax.Array)]
        constants: dict[str, Any] = {}

        def run(arrays: Sequence[Any]) -> tuple[Any, FunctionContext]:
            given = list(args)
            for place, array in zip(places, arrays, strict=True):
                given[place] = array
            return run_forward(cls, given)

        def value(*arrays: Any) -> Any:
            return run(arrays)[0]

        def forward(*arrays: Any) -> tuple[Any, Any]:
            output, context = run(arrays)
            leaves, tree = jax.tree.flatten(vars(context))
            kept = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]
            constants.update(leaves=leaves, tree=tree, kept=kept)
            return output, [leaves[i] for i in kept]

        def backward(residuals: Sequence[Any], gradient: Any) -> tuple[Any, ...]:
            leaves = list(constants["leaves"])
            for place, residual in zip(constants["kept"], residuals, strict=True):
                leaves[place] = residual
            context = FunctionContext()
            vars(context).update(jax.tree.unflatten(constants["tree"], leaves))
            gradients = gradient if isinstance(gradient, (tuple, list)) else (gradient,)
            given = cls.backward(context, *gradients)  # type: ignore[attr-defined]
            found = given if isinstance(given, tuple) else (given,)
            return tuple(gradient_for(args[i], found[i]) for i in places)

        call = jax.custom_vjp(value)
        call.defvjp(forward, backward)
        return call(*(args[i] for i in places))


def run_forward(cls: Any, args: Sequence[Any]) -> tuple[Any, FunctionContext]:
    """A Function's output and what it kept."""
    context = FunctionContext()
    context.needs_input_grad = (True,) * len(args)
    if not hasattr(cls, "setup_context"):
        return cls.forward(context, *args), context
    output = cls.forward(*args)
    cls.setup_context(context, tuple(args), output)
    return output, context


def gradient_for(argument: jax.Array, gradient: Any) -> Any:
    """A gradient as jax wants it: zeros for None, the empty type for integers."""
    if not jnp.issubdtype(argument.dtype, jnp.inexact):
        return np.zeros(argument.shape, jax.dtypes.float0)
    if gradient is None:
        return jnp.zeros_like(argument)
    return jnp.broadcast_to(jnp.asarray(gradient, argument.dtype), argument.shape)
