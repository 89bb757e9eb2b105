"""Makes the helpers of this folder, those of the translation's tests and the package importable."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE),
    str(HERE.parent / "translate"),
    str(HERE.parents[2] / "workers" / "python"),
]
