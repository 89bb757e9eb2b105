"""Tensors in and out of a step as safetensors bytes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from safetensors.numpy import save

from ferry.deliver.bundle.load_weights import Array, read_safetensors

__all__ = ["Array", "decode_complex", "read_safetensors", "write_safetensors"]


def write_safetensors(tensors: Mapping[str, Array]) -> bytes:
    """A safetensors file; complex arrays get a trailing axis of two floats."""
    encoded = {
        name: np.ascontiguousarray(_encode_complex(value)).reshape(_shape(value))
        for name, value in tensors.items()
    }
    return save(encoded)


def decode_complex(value: Array) -> Array:
    """The complex array that `_encode_complex` stored."""
    return np.ascontiguousarray(value).view(f"complex{value.dtype.itemsize * 16}")[..., 0]


def _shape(value: Array) -> tuple[int, ...]:
    return (*value.shape, 2) if np.iscomplexobj(value) else value.shape


def _encode_complex(value: Array) -> Array:
    if not np.iscomplexobj(value):
        return value
    return np.stack([value.real, value.imag], axis=-1)
