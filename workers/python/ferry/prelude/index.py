"""Gathering and scattering along one axis, with index arrays of torch's shapes."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

Value = float | jax.Array


def like_index(array: jax.Array, index: jax.Array, dim: int) -> jax.Array:
    """`array` cut to `index`'s sizes on every axis but `dim`."""
    axis = dim % index.ndim
    sizes = enumerate(index.shape)
    return array[tuple(slice(None) if a == axis else slice(size) for a, size in sizes)]


def element_positions(index: jax.Array, dim: int) -> tuple[jax.Array, ...]:
    """One index array per axis: `index` itself on `dim`, each element's own place elsewhere."""
    grid = list(jnp.indices(index.shape, sparse=True))
    grid[dim % index.ndim] = index
    return tuple(grid)


def gather(input: jax.Array, dim: int, index: jax.Array) -> jax.Array:
    """`out[i][j] = input[index[i][j]][j]` for dim 0; the result has `index`'s shape."""
    return jnp.take_along_axis(like_index(input, index, dim), index, axis=dim)


def source_values(input: jax.Array, index: jax.Array, src: Value) -> jax.Array:
    """What a scatter writes: `src` cut to `index`'s shape, or a number, in `input`'s dtype."""
    values = jnp.asarray(src, input.dtype)
    return values if values.ndim == 0 else values[tuple(slice(size) for size in index.shape)]


def scatter(
    input: jax.Array,
    dim: int,
    index: jax.Array,
    src: Value | None = None,
    *,
    value: float | None = None,
    reduce: str | None = None,
) -> jax.Array:
    """`out[index[i][j]][j] = src[i][j]` for dim 0; `reduce` may be "add" or "multiply"."""
    place = input.at[element_positions(index, dim)]
    written = value if src is None else src
    if written is None:
        raise ValueError("scatter needs src or value")
    values = source_values(input, index, written)
    if reduce == "add":
        return place.add(values)
    return place.multiply(values) if reduce == "multiply" else place.set(values)


def scatter_add(input: jax.Array, dim: int, index: jax.Array, src: jax.Array) -> jax.Array:
    """`out[index[i][j]][j] += src[i][j]` for dim 0."""
    return input.at[element_positions(index, dim)].add(source_values(input, index, src))


def scatter_reduce(
    input: jax.Array,
    dim: int,
    index: jax.Array,
    src: jax.Array,
    reduce: str,
    *,
    include_self: bool = True,
) -> jax.Array:
    """Combine `src` into `input` by "sum", "prod", "mean", "amax" or "amin".

    Without `include_self` the elements that are written to start from the neutral value.
    """
    positions = element_positions(index, dim)
    values = source_values(input, index, src)
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": -jnp.inf, "amin": jnp.inf}[reduce]
    start = input if include_self else input.at[positions].set(neutral)
    place = start.at[positions]
    operations: dict[str, Callable[[jax.Array], jax.Array]] = {
        "sum": place.add,
        "mean": place.add,
        "prod": place.multiply,
        "amax": place.max,
        "amin": place.min,
    }
    output = operations[reduce](values)
    if reduce != "mean":
        return output
    count = jnp.full(input.shape, int(include_self)).at[positions].add(1)
    return output / jnp.maximum(count, 1).astype(output.dtype)


def along(dim: int, index: jax.Array, ndim: int) -> tuple[slice | jax.Array, ...]:
    """The subscript that puts `index` on the axis `dim`."""
    return (slice(None),) * (dim % ndim) + (index,)


def index_select(input: jax.Array, dim: int, index: jax.Array) -> jax.Array:
    """The slices of `dim` that `index` names."""
    return jnp.take(input, index, axis=dim)


def index_add(
    input: jax.Array, dim: int, index: jax.Array, source: jax.Array, *, alpha: float = 1
) -> jax.Array:
    """Add `alpha * source` to the slices of `dim` that `index` names; repeats add up."""
    return input.at[along(dim, index, input.ndim)].add(alpha * source)


def index_copy(input: jax.Array, dim: int, index: jax.Array, source: jax.Array) -> jax.Array:
    """Replace the slices of `dim` that `index` names."""
    return input.at[along(dim, index, input.ndim)].set(source)


def index_fill(input: jax.Array, dim: int, index: jax.Array, value: Value) -> jax.Array:
    """Fill the slices of `dim` that `index` names."""
    return input.at[along(dim, index, input.ndim)].set(value)


def masked_fill(input: jax.Array, mask: jax.Array, value: Value) -> jax.Array:
    """`value` where `mask` is True, in `input`'s dtype."""
    return jnp.where(mask, jnp.asarray(value, input.dtype), input)


def take(input: jax.Array, index: jax.Array) -> jax.Array:
    """Elements of the flattened input."""
    return jnp.take(input.reshape(-1), index)


def one_hot(tensor: jax.Array, num_classes: int = -1) -> jax.Array:
    """Integer one-hot rows on a new last axis; the number of classes must be given."""
    if num_classes < 0:
        raise ValueError("one_hot: num_classes must be given, it cannot depend on values")
    return jax.nn.one_hot(tensor, num_classes, dtype=int)


def searchsorted(sorted_sequence: jax.Array, input: jax.Array, right: bool = False) -> jax.Array:
    """Where each element would be inserted, before equal ones or (`right`) after them."""
    side = "right" if right else "left"
    if sorted_sequence.ndim == 1:
        return jnp.searchsorted(sorted_sequence, input, side=side)
    rows = sorted_sequence.reshape(-1, sorted_sequence.shape[-1])
    wanted = input.reshape(-1, input.shape[-1])
    found = jax.vmap(lambda row, values: jnp.searchsorted(row, values, side=side))(rows, wanted)
    return found.reshape(input.shape)


def bucketize(input: jax.Array, boundaries: jax.Array, right: bool = False) -> jax.Array:
    """The bucket of each element; a boundary belongs to the lower one unless `right`."""
    return searchsorted(boundaries, input, right)


def multinomial(
    input: jax.Array,
    num_samples: int,
    replacement: bool = False,
    *,
    rngs: nnx.Rngs | None = None,
) -> jax.Array:
    """Indices drawn with the rows' values as weights; without replacement by Gumbel's trick."""
    if rngs is None:
        raise ValueError("multinomial needs rngs")
    logits = jnp.log(input)
    if replacement or num_samples == 1:
        shape = (num_samples, *input.shape[:-1])
        return jnp.moveaxis(jax.random.categorical(rngs.noise(), logits, shape=shape), 0, -1)
    noise = jax.random.gumbel(rngs.noise(), input.shape, input.dtype)
    return lax.top_k(logits + noise, num_samples)[1]


def index_put(
    input: jax.Array,
    indices: Sequence[jax.Array],
    values: jax.Array,
    accumulate: bool = False,
) -> jax.Array:
    """`input` with `values` at the places of the integer index arrays, or added there."""
    place = input.at[tuple(indices)]
    return place.add(values) if accumulate else place.set(values)


def masked_scatter(input: jax.Array, mask: jax.Array, source: jax.Array) -> jax.Array:
    """`input` with the elements of `source`, in order, where `mask` is true."""
    input, mask = jnp.broadcast_arrays(input, mask)
    number = jnp.cumsum(mask.reshape(-1)).reshape(mask.shape) - 1
    return jnp.where(mask, source.reshape(-1)[jnp.maximum(number, 0)], input)
