"""Fill a Flax NNX model from a PyTorch state_dict.

    model = Net(10, rngs=nnx.Rngs(0))
    load(model, "checkpoint.safetensors", "weights.json")

``weights.json`` (format ``ferry.weights/1``) says for each variable of the model from which
tensors of the checkpoint it comes and by which operations. The checkpoint is the state_dict
as safetensors, ``safetensors.torch.save_file(net.state_dict(), "checkpoint.safetensors")``;
it is mapped into memory, so that only the tensors in use are read.

Loading is strict. `WeightsError` names the entry when the checkpoint lacks a tensor, has one
that the map does not mention, or when a result does not fit its variable. An entry marked
``"optional": true`` keeps the model's own value when the checkpoint has none of its tensors
(buffers that PyTorch does not save).

Needs jax, flax and numpy only.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = list[Array]
Op = Mapping[str, Any]

FORMAT = "ferry.weights/1"

DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
    "C64": np.complex64,
}


class WeightsError(ValueError):
    """The checkpoint, the map and the model do not fit together."""


def load(
    model: nnx.Module,
    checkpoint: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    *,
    dtype: Any = None,
) -> nnx.Module:
    """Fill `model` from the state_dict in `checkpoint` by the map in `weights`; return it.

    The model may be a real one or one built under `nnx.eval_shape`. Each variable keeps its
    own dtype unless `dtype` names another one for the floating variables.
    """
    with open(weights, encoding="utf-8") as file:
        entries, ignored = read_map(json.load(file))
    tensors = read_safetensors(map_file(checkpoint))
    check_names(entries, ignored, tensors)
    targets = variables(model)
    filled = set()
    for entry in entries:
        name = entry["to"]
        if name not in targets:
            raise WeightsError(f"{name}: the model has no such variable")
        if entry.get("optional") and not any(source in tensors for source in entry["from"]):
            continue
        put(targets[name], name, convert(entry, tensors), dtype)
        filled.add(id(targets[name]))
    for name, variable in targets.items():
        if is_abstract(variable) and id(variable) not in filled:
            raise WeightsError(f"{name}: no entry of the map fills this variable")
    start_random_streams(model)
    return model


def read_map(weights: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries and the ignored names of a parsed map."""
    if weights.get("format") != FORMAT:
        raise WeightsError(f"the map has the format {weights.get('format')!r}, not {FORMAT!r}")
    return list(weights["params"]), list(weights.get("ignored", []))


def check_names(
    entries: Sequence[Mapping[str, Any]], ignored: Sequence[str], tensors: Mapping[str, Array]
) -> None:
    """Every tensor of the checkpoint is used or ignored, and every one used is there."""
    used = {source for entry in entries for source in entry["from"]}
    for entry in entries:
        missing = [source for source in entry["from"] if source not in tensors]
        if missing and not (entry.get("optional") and len(missing) == len(entry["from"])):
            raise WeightsError(f"{entry['to']}: the checkpoint has no {', '.join(missing)}")
    unknown = sorted(set(tensors) - used - set(ignored))
    if unknown:
        raise WeightsError(f"the map mentions no {', '.join(unknown)}")


def variables(model: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    """The model's variables by dotted path, random streams left out; a shared one has several."""
    found = {
        dotted(path): node
        for path, node in nnx.iter_graph(model)
        if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState)
    }
    for paths in nnx.find_duplicates(model, only=nnx.Variable):
        names = [dotted(path) for path in paths]
        known = next((found[name] for name in names if name in found), None)
        if known is not None:
            found.update(dict.fromkeys(names, known))
    return found


def dotted(path: Sequence[Any]) -> str:
    """``("blocks", 0, "kernel")`` as ``blocks.0.kernel``."""
    return ".".join(str(part) for part in path)


def convert(entry: Mapping[str, Any], tensors: Mapping[str, Array]) -> Array:
    """The value of one entry's variable."""
    name = entry["to"]
    try:
        values = [tensors[source] for source in entry["from"]]
        for op in entry.get("ops", []):
            values = OPS[op["op"]](values, op)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise WeightsError(f"{name}: {type(error).__name__}: {error}") from error
    if len(values) != 1:
        raise WeightsError(f"{name}: the operations leave {len(values)} tensors, not one")
    return values[0]


def put(variable: nnx.Variable[Any], name: str, value: Array, dtype: Any) -> None:
    """Store `value` in the model's `variable`."""
    wanted = variable.get_value()
    if tuple(value.shape) != tuple(wanted.shape):
        raise WeightsError(f"{name}: shape {value.shape}, the model wants {wanted.shape}")
    floating = jnp.issubdtype(wanted.dtype, jnp.floating)
    kind = dtype if dtype is not None and floating else wanted.dtype
    variable.set_value(jnp.asarray(value, dtype=kind))


def is_abstract(variable: nnx.Variable[Any]) -> bool:
    """Whether the variable has a shape but no value yet."""
    return isinstance(variable.get_value(), jax.ShapeDtypeStruct)


def start_random_streams(model: nnx.Module) -> None:
    """Give the random streams of a model that was built abstractly a first key and count."""
    for path, node in nnx.iter_graph(model):
        if not isinstance(node, nnx.RngState) or not is_abstract(node):
            continue
        wanted = node.get_value()
        if isinstance(node, nnx.RngKey):
            seed = jax.random.fold_in(jax.random.key(0), len(path))
            keys = jax.random.split(seed, math.prod(wanted.shape))
            node.set_value(keys.reshape(wanted.shape))
        else:
            node.set_value(jnp.zeros(wanted.shape, wanted.dtype))


def permute(values: Tensors, op: Op) -> Tensors:
    return [np.transpose(value, op["axes"]) for value in values]


def reshape(values: Tensors, op: Op) -> Tensors:
    return [value.reshape(op["shape"]) for value in values]


def slice_axis(values: Tensors, op: Op) -> Tensors:
    span = slice(op["start"], op["stop"])
    return [np.moveaxis(np.moveaxis(v, op["axis"], 0)[span], 0, op["axis"]) for v in values]


def concat(values: Tensors, op: Op) -> Tensors:
    return [np.concatenate(values, axis=op["axis"])]


def add(values: Tensors, op: Op) -> Tensors:
    total = wide(values[0])
    for value in values[1:]:
        total = total + wide(value)
    return [total]


def scale(values: Tensors, op: Op) -> Tensors:
    return [wide(value) * op["by"] for value in values]


def flip(values: Tensors, op: Op) -> Tensors:
    return [np.flip(value, op["axes"]) for value in values]


def cast(values: Tensors, op: Op) -> Tensors:
    return [value.astype(jnp.dtype(op["dtype"])) for value in values]


def constant(values: Tensors, op: Op) -> Tensors:
    return [*values, np.full(op["shape"], op["value"], jnp.dtype(op["dtype"]))]


OPS: dict[str, Callable[[Tensors, Op], Tensors]] = {
    "permute": permute,
    "reshape": reshape,
    "slice": slice_axis,
    "concat": concat,
    "add": add,
    "scale": scale,
    "flip": flip,
    "cast": cast,
    "constant": constant,
}


def wide(value: Array) -> Array:
    """Floating values in float64: sums and products are rounded once, in the model's dtype."""
    return value.astype(np.float64) if jnp.issubdtype(value.dtype, jnp.floating) else value


def map_file(path: str | os.PathLike[str]) -> memoryview:
    """The bytes of a file, mapped into memory."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def read_safetensors(data: memoryview) -> dict[str, Array]:
    """The tensors of a safetensors file as read-only views of its bytes."""
    if len(data) < 8:
        raise WeightsError("not a safetensors file: shorter than its own header length")
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        raise WeightsError("not a safetensors file: the header is longer than the file")
    header = json.loads(bytes(data[8 : 8 + size]))
    header.pop("__metadata__", None)
    body = data[8 + size :]
    return {name: view(body, name, record) for name, record in header.items()}


def view(body: memoryview, name: str, record: Mapping[str, Any]) -> Array:
    """One tensor of a safetensors file."""
    start, stop = record["data_offsets"]
    if record["dtype"] not in DTYPES:
        raise WeightsError(f"{name}: dtype {record['dtype']} is not supported")
    dtype = np.dtype(DTYPES[record["dtype"]])
    count = math.prod(record["shape"])
    if not 0 <= start <= stop <= len(body) or stop - start != count * dtype.itemsize:
        raise WeightsError(f"{name}: {start}:{stop} does not hold shape {record['shape']}")
    if count == 0:
        return np.zeros(record["shape"], dtype)
    return np.frombuffer(body[start:stop], dtype).reshape(record["shape"])
