"""The oracles of `models/`, and checks of candidates against them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "workers" / "python")]

from oracles import (  # noqa: E402
    STAGES,
    Checked,
    Oracle,
    candidate_text,
    capture,
    weight_map,
)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The oracle of a model by its name in `models/`, captured once."""
    known: dict[str, Oracle] = {}

    def captured(name: str) -> Oracle:
        if name not in known:
            known[name] = capture(name, tmp_path_factory.mktemp(name))
        return known[name]

    return captured


@pytest.fixture
def check(oracle: Any) -> Any:
    """Check the candidate of a model, as it is or changed."""
    from ferry.check.check import run
    from ferry.step import MemoryContext
    from safetensors.numpy import load

    def checked(
        name: str,
        *,
        replace: tuple[str, str] | None = None,
        text: str | None = None,
        weights: Any = None,
        stages: tuple[str, ...] = STAGES,
        locate: bool = False,
    ) -> Checked:
        recorded = oracle(name)
        code = candidate_text(name) if text is None else text
        if replace is not None:
            assert replace[0] in code
            code = code.replace(*replace)
        request = {
            "files": [{"path": "source.py", "content": code}],
            "weights": weight_map(name) if weights is None else weights,
            "plan": recorded.plan,
            "tensors": recorded.tensors,
            "stages": list(stages),
            "locate": locate,
            "entry": None,
        }
        context = MemoryContext(request, {"given": recorded.given})
        return Checked(run(context), load(context.outputs["actual"]), recorded)

    return checked
