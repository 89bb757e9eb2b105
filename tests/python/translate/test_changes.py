"""The diff of a port: what a person would mark, whatever else the file repeats, in little time."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

from ferry.translate.changes import unified_diff
from ferry.translate.line_match import opcodes

OLD = "import torch\n\n\ndef f(x):\n    y = x.relu()\n\n    return y\n\n\ndef g(x):\n    return x\n"
NEW = "import jax\n\n\ndef f(x):\n    y = jax.nn.relu(x)\n\n    return y\n\n\ndef g(x):\n    return x\n"
DIFF = [
    "--- a/m.py",
    "+++ b/m.py",
    "@@ -1,8 +1,8 @@",
    "-import torch",
    "+import jax",
    " ",
    " ",
    " def f(x):",
    "-    y = x.relu()",
    "+    y = jax.nn.relu(x)",
    " ",
    "     return y",
    " ",
]


def test_diff() -> None:
    assert unified_diff({"m.py": OLD}, {"m.py": NEW}, {}).splitlines() == DIFF


def test_opcodes_turn_one_text_into_the_other() -> None:
    rng = random.Random(1)
    for _ in range(500):
        before, after = ([rng.choice("abcde ") for _ in range(rng.randrange(12))] for _ in "ab")
        made: list[str] = []
        at = 0
        for tag, i1, i2, j1, j2 in opcodes(before, after):
            assert i1 == at
            assert tag != "equal" or before[i1:i2] == after[j1:j2]
            made, at = [*made, *after[j1:j2]], i2
        assert (made, at) == (after, len(before))


def _large() -> tuple[list[str], list[str]]:
    """6,000 lines of which every third is blank, and the same with every tenth changed."""
    kinds = ("", "    def forward(self, x):", "        return torch.relu(x)")
    before = [kinds[n % 3] + (f"  # {n}" if n % 7 == 0 else "") + "\n" for n in range(6000)]
    after = [line.replace("torch", "jax.nn") for n, line in enumerate(before) if n % 10]
    return before, after


def test_a_large_file_takes_little_time_and_its_diff_applies(tmp_path: Path) -> None:
    before, after = _large()
    started = time.process_time()
    diff = unified_diff({"m.py": "".join(before)}, {"m.py": "".join(after)}, {})
    assert time.process_time() - started < 1.0
    (tmp_path / "m.py").write_text("".join(before), encoding="utf-8")
    subprocess.run(["patch", "-p1", "-s"], cwd=tmp_path, input=diff.encode(), check=True)
    assert (tmp_path / "m.py").read_text(encoding="utf-8") == "".join(after)
