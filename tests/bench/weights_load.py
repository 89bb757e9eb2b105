"""Loads a checkpoint into a bundle's port, under the jax interpreter; prints seconds and memory as JSON.

python weights_load.py BUNDLE CHECKPOINT WIDTH LAYERS VOCABULARY
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [sys.argv[1], f"{sys.argv[1]}/jax"]

import jax  # noqa: E402
import load_weights  # noqa: E402
from flax import nnx  # noqa: E402
from model import Encoder  # noqa: E402

MB = 1e6


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon")


class Peak(threading.Thread):
    """The largest anonymous memory until `stop`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.002):
            self.bytes = max(self.bytes, anonymous())

    def stop(self) -> int:
        self._done.set()
        self.join()
        return max(self.bytes, anonymous())


def main() -> None:
    bundle, checkpoint = Path(sys.argv[1]), Path(sys.argv[2])
    width, layers, vocabulary = (int(a) for a in sys.argv[3:])
    model = nnx.eval_shape(lambda: Encoder(width, layers, vocabulary, rngs=nnx.Rngs(0)))
    jax.block_until_ready(jax.random.key(0))
    before, peak = anonymous(), Peak()
    peak.start()
    started = time.perf_counter()
    load_weights.load(model, checkpoint, bundle / "weights.json")
    jax.block_until_ready(nnx.state(model))
    seconds, highest = time.perf_counter() - started, peak.stop()
    arrays = [leaf.nbytes for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]
    found = {
        "file_mb": checkpoint.stat().st_size / MB,
        "model_mb": sum(arrays) / MB,
        "seconds": seconds,
        "peak_above_mb": (highest - before - sum(arrays)) / MB,
        "largest_mb": max(arrays) / MB,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
