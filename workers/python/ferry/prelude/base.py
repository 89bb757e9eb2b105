"""What the other modules build on: the module class, buffers, initial values, shape rules."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Module(nnx.Module):
    """A module whose call runs `forward`, as in torch.

    Subclasses override `forward`, and `super().forward(...)` works. `train()` and `eval()`
    set `deterministic` on every module; `training` is its opposite and starts as True.
    """

    deterministic: bool = False

    @property
    def training(self) -> bool:
        """True until `eval()`."""
        return not self.deterministic

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`."""
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every concrete module has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")


class Buffer(nnx.Variable[jax.Array]):
    """State that belongs to the model but is not trained (torch's `register_buffer`)."""


class ValuesIndices(NamedTuple):
    """The pair that torch's reductions along a dimension return."""

    values: jax.Array
    indices: jax.Array


def uniform_param(
    shape: Sequence[int], bound: float, rngs: nnx.Rngs | None
) -> nnx.Param[jax.Array]:
    """A parameter drawn from U(-bound, bound); zeros where no `rngs` is given."""
    if rngs is None:
        return nnx.Param(jnp.zeros(shape))
    return nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound))


def fan_in_bound(fan_in: int) -> float:
    """The bound 1/sqrt(fan_in) of torch's default initialisation."""
    return 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0


def array_of(variable: Any) -> Any:
    """The array in `variable`; arrays and None pass through."""
    return variable[...] if isinstance(variable, nnx.Variable) else variable


def ntuple(value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """`value` once for each of n dimensions; a sequence is kept (one element is repeated)."""
    if isinstance(value, int):
        return (value,) * n
    return tuple(value) * n if len(value) == 1 else tuple(value)


def set_training(module: Any, mode: bool = True) -> Any:
    """Switch a module and all in it to train mode, or to eval mode."""
    nnx.Module.set_attributes(
        module,
        deterministic=not mode,
        use_running_average=not mode,
        raise_if_not_found=False,
    )
    return module


def as_shape(size: int | Sequence[int]) -> tuple[int, ...]:
    """Sizes that are given as one number or as a sequence."""
    return (size,) if isinstance(size, int) else tuple(size)


def channel_shape(array: jax.Array, ndim: int) -> jax.Array:
    """Reshape a vector over channels so that it broadcasts along axis 1 of `ndim` axes."""
    return array.reshape(1, -1, *(1,) * (ndim - 2))


def clone_module(module: Any) -> Any:
    """A copy with variables of its own and, where it draws, random streams of its own."""
    copy = nnx.clone(module)
    parts: list[Any] = [part for _, part in nnx.iter_modules(copy)]
    for part in parts:
        if isinstance(getattr(part, "rngs", None), nnx.Rngs):
            part.rngs = part.rngs.fork()
    return copy


def complex_uniform(key: jax.Array, shape: Sequence[int], dtype: Any) -> jax.Array:
    """Complex numbers whose parts are drawn from U(0, 1)."""
    parts = jax.random.uniform(key, (2, *shape), jnp.zeros((), dtype).real.dtype)
    return jax.lax.complex(parts[0], parts[1])


def without_placement(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a layer, but for those that tell torch where and how to store it."""
    return {name: value for name, value in given.items() if name not in ("device", "dtype")}
