"""Tensors of safetensors files by name, moved as bytes: nothing is decoded, any dtype will do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RawTensor:
    """One tensor: what the header says of it, and its bytes."""

    dtype: str
    shape: list[int]
    data: memoryview


def read(file: memoryview) -> dict[str, RawTensor]:
    """The tensors of a safetensors file in the order of its header."""
    size = int.from_bytes(file[:8], "little")
    header: dict[str, Any] = json.loads(bytes(file[8 : 8 + size]))
    header.pop("__metadata__", None)
    body = file[8 + size :]
    return {
        name: RawTensor(record["dtype"], record["shape"], body[slice(*record["data_offsets"])])
        for name, record in header.items()
    }


def write(tensors: Mapping[str, RawTensor]) -> bytes:
    """A safetensors file of `tensors`, the widest dtypes first so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-_width(tensors[name]), name))
    header = json.dumps(dict(_records(tensors, order)), separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"".join(
        [len(header).to_bytes(8, "little"), header, *(tensors[name].data for name in order)]
    )


def _records(tensors: Mapping[str, RawTensor], order: list[str]) -> Iterator[tuple[str, Any]]:
    start = 0
    for name in order:
        tensor = tensors[name]
        stop = start + len(tensor.data)
        record = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, stop]}
        yield name, record
        start = stop


def _width(tensor: RawTensor) -> int:
    count = 1
    for size in tensor.shape:
        count *= size
    return len(tensor.data) // count if count else 0
