"""weight_norm and spectral_norm, of both of torch's generations, and parametrizations of one's own.

Each replaces a layer's parameter by others from which the weight is computed whenever it is
read: the layer gets a class of its own in which the weight is a property.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ferry.prelude.base import Buffer, Module
from ferry.prelude.conv import ConvTransposeNd


@functools.cache
def reparametrized(base: Any, name: str, compute: Any) -> type:
    """The class `base` with the attribute `name` computed by `compute(module)`."""
    return type(base.__name__, (base,), {name: property(compute), "__doc__": base.__doc__})


def set_computed(module: Any, name: str, compute: Any) -> None:
    """Make the attribute `name` of `module` a property."""
    base: Any = type(module)
    delattr(module, name)
    module.__class__ = reparametrized(base, name, compute)


def norm_except(weight: jax.Array, dim: int | None) -> jax.Array:
    """The norm over all axes but `dim` (kept with size 1); over all of them if it is None."""
    if dim is None or dim == -1:
        return jnp.sqrt(jnp.sum(weight * weight))
    axes = tuple(a for a in range(weight.ndim) if a != dim % weight.ndim)
    return jnp.sqrt(jnp.sum(weight * weight, axis=axes, keepdims=True))


@functools.cache
def normed_weight(magnitude: tuple[str, ...], direction: tuple[str, ...], dim: int | None) -> Any:
    """A function of a module: the weight from the parameters at the two paths."""

    def compute(module: Any) -> jax.Array:
        g, v = (functools.reduce(getattr, path, module)[...] for path in (magnitude, direction))
        return v * (g / norm_except(v, dim))

    return compute


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Magnitude `<name>_g` and direction `<name>_v` instead of the parameter `name`."""
    weight = getattr(module, name)[...]
    set_computed(module, name, normed_weight((f"{name}_g",), (f"{name}_v",), dim))
    setattr(module, f"{name}_g", nnx.Param(norm_except(weight, dim)))
    setattr(module, f"{name}_v", nnx.Param(weight))
    return module


class Parametrization(Module):
    """The variables behind one computed parameter."""


def parametrization_of(module: Any, name: str) -> Any:
    """A new holder at `module.parametrizations.<name>`."""
    holder = Parametrization()
    if not hasattr(module, "parametrizations"):
        module.parametrizations = Parametrization()
    setattr(module.parametrizations, name, holder)
    return holder


@functools.cache
def parametrized_value(name: str) -> Any:
    """A function of a module: its parametrizations of `name`, applied in order to what they hold."""

    def compute(module: Any) -> Any:
        holder = getattr(module.parametrizations, name)
        values = [getattr(holder, original)[...] for original in holder.originals]
        for index in range(holder.count):
            values = [getattr(holder, str(index))(*values)]
        return values[0]

    return compute


def register_parametrization(
    module: Any, tensor_name: str, parametrization: Any, unsafe: bool = False
) -> Any:
    """Let `parametrization(original)` stand for the parameter or buffer `tensor_name` of `module`.

    `parametrizations.<name>` holds `original`, or `original0`, `original1`, ... where the method
    `right_inverse` gives several, and the parametrizations as 0, 1, ....
    """
    if not hasattr(getattr(module, "parametrizations", None), tensor_name):
        variable = getattr(module, tensor_name)
        values = getattr(parametrization, "right_inverse", lambda value: value)(variable[...])
        set_computed(module, tensor_name, parametrized_value(tensor_name))
        holder = parametrization_of(module, tensor_name)
        several = isinstance(values, tuple)
        holder.originals = (
            tuple(f"original{i}" for i in range(len(values))) if several else ("original",)
        )
        holder.count = 0
        for original, value in zip(holder.originals, values if several else (values,), strict=True):
            setattr(holder, original, type(variable)(value))
    holder = getattr(module.parametrizations, tensor_name)
    setattr(holder, str(holder.count), parametrization)
    holder.count += 1
    return module


def parametrized_weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """As `weight_norm`; the variables are `parametrizations.<name>.original0` and `original1`."""
    weight = getattr(module, name)[...]
    path = ("parametrizations", name)
    set_computed(module, name, normed_weight((*path, "original0"), (*path, "original1"), dim))
    holder = parametrization_of(module, name)
    holder.original0 = nnx.Param(norm_except(weight, dim))
    holder.original1 = nnx.Param(weight)
    return module


def unit(vector: jax.Array, eps: float) -> jax.Array:
    """The vector divided by its norm."""
    return vector / jnp.maximum(jnp.sqrt(jnp.sum(vector * vector)), eps)


def as_matrix(weight: jax.Array, dim: int) -> jax.Array:
    """The axis `dim` as rows, all others as columns."""
    return jnp.moveaxis(weight, dim, 0).reshape(weight.shape[dim], -1)


def rows_of(module: Any, dim: int | None) -> int:
    """The axis of a layer's outputs, unless it is given."""
    return dim if dim is not None else int(isinstance(module, ConvTransposeNd))


def spectral_weight(weight: jax.Array, u: jax.Array, v: jax.Array, dim: int) -> jax.Array:
    """The weight divided by u·(W v), with u and v held fixed."""
    u, v = lax.stop_gradient(u), lax.stop_gradient(v)
    return weight / jnp.dot(u, jnp.matmul(as_matrix(weight, dim), v))


def power_step(
    matrix: jax.Array, u: jax.Array, v: jax.Array, eps: float, right_first: bool
) -> tuple[jax.Array, jax.Array]:
    """One step of the power iteration; `right_first` updates v before u."""
    if right_first:
        v = unit(jnp.matmul(matrix.T, u), eps)
        return unit(jnp.matmul(matrix, v), eps), v
    u = unit(jnp.matmul(matrix, v), eps)
    return u, unit(jnp.matmul(matrix.T, u), eps)


@functools.cache
def iterated_weight(
    paths: tuple[tuple[str, ...], ...], dim: int, steps: int, eps: float, right_first: bool
) -> Any:
    """A function of a module: its spectrally normed weight; train mode takes `steps` first."""

    def compute(module: Any) -> jax.Array:
        weight, u, v = (functools.reduce(getattr, path, module) for path in paths)
        if module.training:
            matrix = lax.stop_gradient(as_matrix(weight[...], dim))
            for _ in range(steps):
                u[...], v[...] = power_step(matrix, u[...], v[...], eps, right_first)
        return spectral_weight(weight[...], u[...], v[...], dim)

    return compute


def divide_by_norm(
    module: Any,
    name: str,
    dim: int | None,
    paths: tuple[tuple[str, ...], ...],
    steps: int,
    eps: float,
    right_first: bool,
) -> tuple[nnx.Param[jax.Array], Buffer, Buffer]:
    """Make the parameter `name` a spectrally normed weight, computed from the variables at `paths`.

    These are what is returned, for the caller to put there: the weight, u and v.
    """
    weight = getattr(module, name)[...]
    rows = rows_of(module, dim)
    set_computed(module, name, iterated_weight(paths, rows, steps, eps, right_first))
    height, width = as_matrix(weight, rows).shape
    u, v = (Buffer(jnp.ones(size) / size**0.5) for size in (height, width))
    return nnx.Param(weight), u, v


def spectral_norm(
    module: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """`<name>_orig` and the buffers `<name>_u` and `<name>_v` instead of the parameter `name`."""
    names = (f"{name}_orig", f"{name}_u", f"{name}_v")
    paths = tuple((own,) for own in names)
    variables = divide_by_norm(module, name, dim, paths, n_power_iterations, eps, True)
    for own, variable in zip(names, variables, strict=True):
        setattr(module, own, variable)
    return module


def parametrized_spectral_norm(
    module: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """As `spectral_norm`; `parametrizations.<name>` holds `original`, `0._u` and `0._v`."""
    path = ("parametrizations", name)
    paths = ((*path, "original"), (*path, "0", "_u"), (*path, "0", "_v"))
    original, u, v = divide_by_norm(module, name, dim, paths, n_power_iterations, eps, False)
    holder = parametrization_of(module, name)
    holder.original = original
    vectors: Any = Parametrization()
    setattr(holder, "0", vectors)
    vectors._u, vectors._v = u, v
    return module
