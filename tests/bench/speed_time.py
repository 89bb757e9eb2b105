"""Times two bundles of one model in turn, under the jax interpreter; prints JSON.

    python speed_time.py OURS THEIRS CLASS ROUNDS

Both are built abstractly, filled by their own loaders and called on the first recorded input, repeated to a batch. Seconds are those of the
process: on one thread they are the wall seconds of a machine that has nothing else to do.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

#: A round calls each program until this many seconds are spent, once at least.
ROUND = 0.05
BATCH = 16


def module(path: Path) -> Any:
    """A file as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def model(bundle: Path, name: str) -> Any:
    """The bundle's model with the recorded weights."""
    (file,) = (bundle / "jax").glob("*.py")
    entry = getattr(module(file), name)
    built = nnx.eval_shape(lambda: entry(rngs=nnx.Rngs(0)))
    loader = module(bundle / "load_weights.py")
    return loader.load(built, bundle / "tests/data/weights.safetensors", bundle / "weights.json")


def inputs(bundle: Path) -> list[jax.Array]:
    """The first recorded input, repeated to a batch of `BATCH`, in 32 bits."""
    loader = module(bundle / "load_weights.py")
    found = loader.read_safetensors(loader.map_file(bundle / "tests/data/cases.safetensors"))
    tensors = [found[name] for name in sorted(found) if name.startswith("x0/")]
    narrow = {"f": jnp.float32, "i": jnp.int32}
    return [jnp.asarray(np.resize(t, (BATCH, *t.shape[1:])), narrow[t.dtype.kind]) for t in tensors]


def forward(built: Any, args: list[jax.Array]) -> Callable[[], Any]:
    """The compiled forward of `jax.jit`, in eval mode."""
    built.eval()
    graph, state = nnx.split(built)
    run = jax.jit(lambda state, args: nnx.merge(graph, state)(*args))
    return lambda: run(state, args)


def gradients(built: Any, args: list[jax.Array]) -> Callable[[], Any]:
    """The compiled loss, gradients and new state, in train mode."""
    built.train()
    graph, params, rest = nnx.split(built, nnx.Param, ...)

    def loss(params: Any, rest: Any, args: list[jax.Array]) -> tuple[jax.Array, Any]:
        merged = nnx.merge(graph, params, rest, copy=True)
        output = merged(*args)
        return jnp.mean(output**2), nnx.state(merged, nnx.Not(nnx.Param))

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return lambda: run(params, rest, args)


def seconds(program: Callable[[], Any], calls: int) -> float:
    """Processor seconds of one call, as the mean of several."""
    started = time.process_time()
    for _ in range(calls):
        jax.block_until_ready(program())
    return (time.process_time() - started) / calls


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Medians over the rounds, in each of which both run."""
    seconds(ours, 2), seconds(theirs, 2)
    calls = max(1, round(ROUND / seconds(ours, 2)))
    pairs = [(seconds(ours, calls), seconds(theirs, calls)) for _ in range(rounds)]
    return {
        "ours_ms": 1e3 * statistics.median(a for a, _ in pairs),
        "theirs_ms": 1e3 * statistics.median(b for _, b in pairs),
        "ratio": statistics.median(b / a for a, b in pairs),
    }


def main() -> None:
    ours, theirs, name, rounds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    args, both = inputs(ours), [model(ours, name), model(theirs, name)]
    found = {}
    for part, make in (("forward", forward), ("gradients", gradients)):
        found[part] = compare(*(make(built, args) for built in both), rounds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
