"""A large checkpoint through a bundle's loader: seconds, and memory above the model.

    build/envs/tools/bin/python tests/bench/weights.py [--width 2048]

A transformer of about 400 MB is migrated by the daemon at a small width; the bundle's port is then built abstractly at the
full width and filled from a state_dict that torch saved as safetensors. Measured in a process of its own are the seconds of
`load` and the anonymous memory at its end and at its peak, sampled while it runs (pages of the mapped file are the page
cache's, not the process's). Exit status 1 where loading takes more than the goal of 5 s, or where the peak is above the
model by more than the largest tensor and 64 MB, which is less than once the file's size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from ferryd import PROVEN, ROOT, Daemon

GOAL_SECONDS = 5.0
SOURCE = """\
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, width: int = 16, layers: int = 2, vocabulary: int = 64):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.encoder(self.tokens(tokens)))


def get_inputs():
    return [torch.randint(0, 64, (2, 8))]
"""
SAVE = """\
import sys
import torch
from safetensors.torch import save_file

torch.manual_seed(0)
sys.path.insert(0, sys.argv[1])
from model import Encoder

arguments = [int(a) for a in sys.argv[3:]]
save_file(Encoder(*arguments).state_dict(), sys.argv[2])
"""


def migrate(folder: Path) -> None:
    """The bundle of the small model, unpacked in `folder`."""
    with Daemon() as daemon:
        job = daemon.wait(daemon.submit(SOURCE, entry="model:Encoder")["id"])
        if job["result"]["verdict"] not in PROVEN:
            sys.exit(f"weights: {json.dumps(job['result'])[:2000]}")
        for path, content in daemon.bundle(job["id"]).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=2048)
    options = parser.parse_args()
    sizes = [str(options.width), "2", "4096"]
    torch, jax = (ROOT / "build" / "envs" / name / "bin" / "python" for name in ("torch", "jax"))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        migrate(folder)
        checkpoint = folder / "checkpoint.safetensors"
        save = [str(torch), "-c", SAVE, str(folder / "source"), str(checkpoint), *sizes]
        subprocess.run(save, env=env, check=True)
        script = Path(__file__).with_name("weights_load.py")
        load = [str(jax), str(script), str(folder), str(checkpoint), *sizes]
        found = json.loads(subprocess.run(load, env=env, check=True, stdout=subprocess.PIPE).stdout)
    print("| file MB | model MB | load s | above the model at the peak MB | largest tensor MB |")
    print("| --- | --- | --- | --- | --- |")
    keys = ("file_mb", "model_mb", "seconds", "peak_above_mb", "largest_mb")
    print("| " + " | ".join(f"{found[key]:.1f}" for key in keys) + " |")
    heavy = found["peak_above_mb"] > found["largest_mb"] + 64
    return 1 if heavy or found["seconds"] > GOAL_SECONDS else 0


if __name__ == "__main__":
    raise SystemExit(main())
