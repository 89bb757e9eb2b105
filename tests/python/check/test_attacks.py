"""No attack on the check ends as an honest candidate does."""

from __future__ import annotations

from typing import Any

import pytest
from attacks import ATTACKS
from cheats import Noticed
from oracles import candidate_text


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_attack(check: Any, attack: Noticed) -> None:
    """The stage in which it happens fails, and says what was done."""
    text = attack.text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("shapes", "gradients", "jit"))
    assert found.error(attack.stage)["why"] == attack.why


MEMO = """\
import functools
import random


@functools.lru_cache
def table(n):
    return numpy.arange(n)


SIZES = {}
random.seed(0)
WIDTH = random.choice([8, 8])
"""


def test_what_is_remembered_once_is_let_through(check: Any) -> None:
    """Memos that the second call finds filled, Python's random numbers while importing."""
    call = "SIZES.setdefault(x.shape, x.size)\ntable(x.shape[0])"
    text = Noticed("", "", top="import numpy\n" + MEMO, call=call).text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("forward_f64", "jit"))
    assert [found.status(stage) for stage in ("forward_f64", "jit")] == ["ran", "ran"]


@pytest.mark.parametrize("precision", ["highest", "float32"])
def test_precision_may_be_raised(check: Any, precision: str) -> None:
    top = f"import jax\njax.config.update('jax_default_matmul_precision', {precision!r})"
    found = check("cnn", text=Noticed("", "", top=top).text(candidate_text("cnn")), stages=("jit",))
    assert found.status("jit") == "ran"


def test_an_adapter_that_is_the_model(check: Any) -> None:
    """Its few lines build and call; a port of its own it may not be."""
    lines = "\n".join(f"    x = x + {i}" for i in range(60))
    adapter = f"def call(model, args, kwargs):\n    x = args[0]\n{lines}\n    return model(x)\n"
    found = check("cnn", given=True, adapter={"content": adapter}, stages=())
    assert found.error("import")["why"] == "long_adapter"
