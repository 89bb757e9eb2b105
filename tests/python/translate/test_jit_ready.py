"""A port works in the ways that people use a model with jax, and computes torch's values in each.

Ten families of models are ported, delivered and loaded by the bundle's own loader, then run with `nnx.jit`,
`jax.jit` over split and merge, `jax.vmap`, `nnx.grad`, and with bfloat16 parameters, in eval and train mode. The values
and gradients in float32 are torch's; those in bfloat16 may be as far from them as a few times torch's own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ferry.deliver import deliver
from ferry.step import MemoryContext
from jit_sources import HEAD, SOURCES
from oracle_and_port import JAX_PYTHON, Port, port
from safetensors.numpy import load_file, save, save_file
from safetensors.torch import load as load_torch

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]
#: Sources that draw at random in train mode: their values there are jax's own.
DRAWING = ("encoder", "mlp", "vae")
MODES = ("eval", "train")
#: Compiling is most of the time, so the compiler does not try hard.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
)


def cases() -> list[Any]:
    return [pytest.param(n, m, id=f"{n}-{m}") for n in SOURCES for m in MODES]


def compared() -> list[Any]:
    return [p for p in cases() if not (p.values[0] in DRAWING and p.values[1] == "train")]


class Torch:
    """What torch computes for one source: outputs, gradients and buffers by mode and dtype."""

    def __init__(self, source: str, weights: dict[str, torch.Tensor], batches: list[list[Any]]):
        self._source = source
        self._weights = weights
        self._batches = batches

    def run(self, mode: str, batch: int = 0, dtype: torch.dtype = torch.float32) -> Arrays:
        names: dict[str, Any] = {}
        exec(self._source, names)
        net = names["Net"]().to(dtype)
        net.load_state_dict(self._weights)
        net.train(mode == "train")
        args = [a.to(dtype) if a.is_floating_point() else a for a in self._batches[batch]]
        output = net(*args)
        outputs = output if isinstance(output, tuple) else (output,)
        sum((leaf * leaf).mean() for leaf in outputs).backward()
        found = {f"out/{i}": leaf for i, leaf in enumerate(outputs)}
        found |= {f"grad/{name}": p.grad for name, p in net.named_parameters()}
        found |= {f"state/{name}": b for name, b in net.named_buffers()}
        return {name: t.detach().to(torch.float32).numpy() for name, t in found.items()}


class Ready:
    """All ported sources, what jax gave in every way, and torch beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.torch: dict[str, Torch] = {}
        self._maps: dict[str, dict[str, str]] = {}
        for name, source in SOURCES.items():
            one = port(HEAD + source, "Net")
            assert one.draft["refusals"] == [], one.draft["refusals"]
            self._deliver(name, one)
            self._prepare(name, HEAD + source)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK}
        env.pop("PYTHONPATH", None)
        script = [JAX_PYTHON, str(HERE / "run_jit.py"), str(folder), *SOURCES]
        subprocess.run(script, check=True, env=env)

    def way(self, name: str, mode: str, way: str) -> Arrays:
        """The arrays of one way; gradients and state by their names in torch."""
        out = load_file(self._folder / name / "out.safetensors")
        prefix = f"{mode}/{way}/"
        found = {n.removeprefix(prefix): v for n, v in out.items() if n.startswith(prefix)}
        return {self._maps[name].get(n, n): v for n, v in found.items()}

    def dtypes(self, name: str, mode: str, way: str) -> set[str]:
        kinds = json.loads((self._folder / name / "dtypes.json").read_text())
        return {kind for path, kind in kinds.items() if path.startswith(f"{mode}/{way}/")}

    def _deliver(self, name: str, one: Port) -> None:
        root = self._folder / name
        parts = {key: one.captured[key] for key in ("plan", "tensors")}
        request = {"files": [], "candidate": one.draft["files"], "weights": one.draft["weights"]}
        expected = save(one.expected)
        context = MemoryContext({**request, **parts}, {"given": one.given, "expected": expected})
        files = {f["path"]: f["content"] for f in deliver.run(context)["files"]}
        files |= {f"jax/{f['path']}": f["content"] for f in one.draft["files"]}
        files["weights.json"] = json.dumps(one.draft["weights"])
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        for out, data in context.outputs.items():
            (root / f"tests/data/{out}.safetensors").write_bytes(data)
        entries = one.draft["weights"]["params"]
        assert all(not entry.get("ops") for entry in entries)
        self._maps[name] = {entry["to"]: entry["from"][0] for entry in entries}

    def _prepare(self, name: str, source: str) -> None:
        """Draw two batches, and keep what torch needs to run on the delivered weights."""
        names: dict[str, Any] = {}
        exec(source, names)
        torch.manual_seed(0)
        batches = [names["get_inputs"]() for _ in range(2)]
        arrays = {
            f"{b}/{i}": t.numpy() for b, args in enumerate(batches) for i, t in enumerate(args)
        }
        arrays = {n: a.astype("int32") if a.dtype == "int64" else a for n, a in arrays.items()}
        save_file(arrays, self._folder / name / "x.safetensors")
        weights = (self._folder / name / "tests/data/weights.safetensors").read_bytes()
        self.torch[name] = Torch(source, load_torch(weights), batches)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    return Ready(tmp_path_factory.mktemp("ready"))


def below(prefix: str, arrays: Arrays) -> Arrays:
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}


def largest(arrays: Arrays) -> float:
    return max((float(np.abs(value).max()) for value in arrays.values()), default=0.0)


def close(actual: Arrays, expected: Arrays, what: str, least: float = 1e-3) -> None:
    """Equal in float32, relative to the range of each array, which is at least `least`."""
    assert set(actual) == set(expected), what
    for name, value in expected.items():
        extent = max(float(np.abs(value).max()), least)
        np.testing.assert_allclose(
            actual[name], value, rtol=0, atol=2e-5 * extent, err_msg=f"{what} {name}"
        )


@pytest.mark.parametrize(("name", "mode"), compared())
def test_jitted_outputs(ready: Ready, name: str, mode: str) -> None:
    expected = below("out/", ready.torch[name].run(mode))
    for way in ("nnx.jit", "jax.jit"):
        close(ready.way(name, mode, way), expected, way)


@pytest.mark.parametrize(("name", "mode"), compared())
def test_vmap_over_batches(ready: Ready, name: str, mode: str) -> None:
    found = ready.way(name, mode, "vmap")
    for batch in (0, 1):
        expected = below("out/", ready.torch[name].run(mode, batch))
        close(below(f"{batch}/", found), expected, f"batch {batch}")


@pytest.mark.parametrize(("name", "mode"), compared())
def test_gradients(ready: Ready, name: str, mode: str) -> None:
    """What is zero but for rounding (a bias before a batch norm) has its neighbours' scale."""
    expected = below("grad/", ready.torch[name].run(mode))
    close(ready.way(name, mode, "grad"), expected, "gradient", 0.1 * largest(expected))


@pytest.mark.parametrize(("name", "mode"), compared())
def test_buffers_after_a_jitted_call(ready: Ready, name: str, mode: str) -> None:
    expected = below("state/", ready.torch[name].run(mode))
    state = ready.way(name, mode, "state")
    close({n: state[n] for n in expected}, expected, "buffer")


@pytest.mark.parametrize(("name", "mode"), cases())
def test_bfloat16_stays_bfloat16(ready: Ready, name: str, mode: str) -> None:
    assert ready.dtypes(name, mode, "bf16") == {"bfloat16"}
    assert ready.dtypes(name, mode, "bf16.grad") == {"bfloat16"}


@pytest.mark.parametrize(("name", "mode"), compared())
@pytest.mark.parametrize(
    ("way", "prefix", "floor"), [("bf16", "out/", 2.0**-8), ("bf16.grad", "grad/", 2.0**-5)]
)
def test_bfloat16_is_as_near_as_torch(
    ready: Ready, name: str, mode: str, way: str, prefix: str, floor: float
) -> None:
    """Within four times torch's own error, and a unit in the last place; in gradients eight.

    XLA adds up the gradient of a broadcast in bfloat16, torch in float32. A gradient that is zero
    but for rounding has no digits to compare.
    """
    truth = below(prefix, ready.torch[name].run(mode))
    half = below(prefix, ready.torch[name].run(mode, dtype=torch.bfloat16))
    found = ready.way(name, mode, way)
    assert set(found) == set(truth)
    for path, value in truth.items():
        extent = float(np.abs(value).max())
        if extent < 1e-3 * largest(truth):
            continue
        own = float(np.abs(half[path] - value).max())
        error = float(np.abs(found[path] - value).max())
        assert error <= 4 * own + floor * extent, (path, error, own, extent)


@pytest.mark.parametrize("name", DRAWING)
def test_draws_under_jit(ready: Ready, name: str) -> None:
    """In train mode the values are jax's own draws: finite, and others than in eval mode."""
    for way in ("nnx.jit", "jax.jit"):
        drawn, still = ready.way(name, "train", way), ready.way(name, "eval", way)
        assert all(np.isfinite(value).all() for value in drawn.values())
        assert any(not np.array_equal(drawn[path], still[path]) for path in still)
    for way in ("grad", "bf16.grad"):
        assert all(np.isfinite(g).all() for g in ready.way(name, "train", way).values())
