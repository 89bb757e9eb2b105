"""The loader of a bundle: strict, lazy, for real and for abstract models."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from ferry.deliver.bundle import load_weights
from ferry.deliver.bundle.load_weights import WeightsError, load
from flax import nnx
from oracles import MODELS
from safetensors.numpy import load_file, save_file


def candidate(name: str) -> Any:
    """The candidate's module."""
    spec = importlib.util.spec_from_file_location(name, MODELS / name / "candidate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def files(bundle: Any) -> tuple[Path, Path]:
    """A checkpoint and a map of the convolutional net."""
    root = bundle("cnn")
    return root / "tests/data/weights.safetensors", root / "weights.json"


def abstract_net() -> Any:
    module = candidate("cnn")
    return nnx.eval_shape(lambda: module.Net(5, rngs=nnx.Rngs(0)))


def test_abstract_model_runs(files: tuple[Path, Path]) -> None:
    """Filled with torch's weights, random streams started; the kernel is torch's, transposed."""
    checkpoint, weights = files
    model = load(abstract_net(), checkpoint, weights)
    tensors = load_file(checkpoint)
    np.testing.assert_array_equal(model.fc.kernel[...], tensors["fc.weight"].T)
    np.testing.assert_array_equal(
        model.conv.kernel[...], tensors["conv.weight"].transpose(2, 3, 1, 0)
    )
    model.train()
    assert nnx.jit(lambda m, x: m(x))(model, jnp.ones((2, 3, 12, 16))).shape == (2, 5)


def test_dtype_of_the_floating_variables(files: tuple[Path, Path]) -> None:
    model = load(abstract_net(), *files, dtype=jnp.bfloat16)
    assert model.fc.kernel[...].dtype == jnp.bfloat16


def spoil(files: tuple[Path, Path], **tensors: Any) -> tuple[Path, Path]:
    """The same checkpoint with some tensors added, replaced, or (None) taken away."""
    checkpoint, weights = files
    changed = {**load_file(checkpoint), **tensors}
    save_file({n: v for n, v in changed.items() if v is not None}, checkpoint)
    return checkpoint, weights


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"fc.bias": None}, "fc.bias: the checkpoint has no fc.bias"),
        ({"extra": np.zeros(2)}, "the map mentions no extra"),
        ({"fc.bias": np.zeros(6)}, r"fc.bias: shape \(6,\), the model wants \(5,\)"),
        ({"conv.weight": np.zeros(6)}, "conv.kernel: ValueError"),
    ],
)
def test_what_does_not_fit(files: tuple[Path, Path], tensors: Any, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        load(abstract_net(), *spoil(files, **tensors))


def test_map_of_another_format(files: tuple[Path, Path]) -> None:
    files[1].write_text(json.dumps({"format": "other"}))
    with pytest.raises(WeightsError, match="format 'other'"):
        load(abstract_net(), *files)


def test_optional_entry_keeps_the_models_value(tmp_path: Path) -> None:
    """A buffer that PyTorch does not save stays what the constructor made it."""

    class Table(nnx.Module):
        def __init__(self) -> None:
            self.scale = nnx.Param(jnp.ones(2))
            self.table = nnx.Variable(jnp.arange(3.0))

    entries = [
        {"to": "scale", "from": ["scale"], "ops": []},
        {"to": "table", "from": ["table"], "ops": [], "optional": True},
    ]
    weights = tmp_path / "weights.json"
    weights.write_text(json.dumps({"format": "ferry.weights/1", "params": entries}))
    save_file({"scale": np.full(2, 3.0, "float32")}, tmp_path / "w.safetensors")
    model = load(Table(), tmp_path / "w.safetensors", weights)
    assert model.scale[...].tolist() == [3, 3]
    assert model.table[...].tolist() == [0, 1, 2]
    with pytest.raises(WeightsError, match="table: no entry of the map fills"):
        load(nnx.eval_shape(Table), tmp_path / "w.safetensors", weights)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int64", "int8", "bool"])
def test_reads_what_safetensors_writes(tmp_path: Path, dtype: str) -> None:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    values = {"a": np.arange(6).reshape(2, 3).astype(kind), "b": np.zeros((0, 2), kind)}
    save_file(values, tmp_path / "x.safetensors")
    found = load_weights.read_safetensors(load_weights.map_file(tmp_path / "x.safetensors"))
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def safetensors_file(dtype: str, shape: list[int]) -> bytes:
    """A file with one tensor of 8 bytes that claims to have `dtype` and `shape`."""
    record = {"dtype": dtype, "shape": shape, "data_offsets": [0, 8]}
    header = json.dumps({"a": record}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"abc", "shorter than its own header length"),
        ((1 << 40).to_bytes(8, "little"), "longer than the file"),
        (safetensors_file("F32", [3]), "does not hold"),
        (safetensors_file("F33", [2]), "F33 is not supported"),
    ],
)
def test_broken_files(data: bytes, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        load_weights.read_safetensors(memoryview(data))


def test_the_model_does_not_live_in_the_file(files: tuple[Path, Path]) -> None:
    """The file is mapped, but what is written into it later is not seen by the model."""
    model = load(abstract_net(), *files)
    before = np.array(model.fc.kernel[...])
    with files[0].open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(0)
        file.write(bytes(size))
    np.testing.assert_array_equal(model.fc.kernel[...], before)


def test_large_checkpoint_is_read_once(tmp_path: Path) -> None:
    """256 MB: the file is mapped, each tensor is copied once, into the model."""

    class Wide(nnx.Module):
        def __init__(self) -> None:
            self.layers = nnx.List(nnx.Param(jnp.zeros((2048, 2048))) for _ in range(16))

    model = nnx.eval_shape(Wide)
    save_file({f"w{i}": np.ones((2048, 2048), "float32") for i in range(16)}, tmp_path / "w")
    entries = [
        {"to": f"layers.{i}", "from": [f"w{i}"], "ops": [{"op": "permute", "axes": [1, 0]}]}
        for i in range(16)
    ]
    (tmp_path / "m").write_text(json.dumps({"format": "ferry.weights/1", "params": entries}))
    jax.block_until_ready(jnp.zeros(1))
    start = time.process_time()
    load(model, tmp_path / "w", tmp_path / "m")
    assert time.process_time() - start < 3
