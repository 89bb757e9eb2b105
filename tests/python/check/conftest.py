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
    ACCEPT,
    STAGES,
    Checked,
    Oracle,
    candidate_text,
    capture,
    load_oracle,
    weight_map,
)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The oracle of a model by its name in `models/`, captured once; or what accept drew."""
    known: dict[tuple[str, bool], Oracle] = {}

    def captured(name: str, accept: bool = False) -> Oracle:
        if (name, accept) not in known:
            folder = capture(name, tmp_path_factory.mktemp(name))
            known.update({(name, part): load_oracle(folder, part) for part in (False, True)})
        return known[name, accept]

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
        accept: bool = False,
        no_map: bool = False,
        **more: Any,
    ) -> Checked:
        recorded = oracle(name, accept)
        code = candidate_text(name) if text is None else text
        if replace is not None:
            assert replace[0] in code
            code = code.replace(*replace)
        request = {
            "files": [{"path": "source.py", "content": code}],
            "weights": None if no_map else weight_map(name) if weights is None else weights,
            "plan": recorded.plan,
            "tensors": recorded.tensors,
            "stages": list(ACCEPT if accept else stages),
            "locate": locate,
            "entry": None,
            **more,
        }
        context = MemoryContext(request, {"given": recorded.given})
        return Checked(run(context), load(context.outputs["actual"]), recorded)

    return checked
