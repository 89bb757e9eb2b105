"""Each construct is ported to the expected lines, and the port computes what torch does."""

from __future__ import annotations

from typing import Any

import pytest
import sources
import sources_calls
import sources_gradients
import sources_refused
from oracle_and_port import STAGES, Port, port, run_ports

EQUAL = {**sources.EQUAL, **sources_calls.EQUAL, **sources_gradients.EQUAL}
REFUSED = {**sources.REFUSED, **sources_calls.REFUSED, **sources_refused.REFUSED}


@pytest.fixture(scope="module")
def ports() -> dict[str, Port]:
    return {name: port(source, "Net") for name, (source, _) in EQUAL.items()}


@pytest.fixture(scope="module")
def results(ports: dict[str, Port], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    drafted = {name: one for name, one in ports.items() if not one.draft["refusals"]}
    return run_ports(drafted, tmp_path_factory.mktemp("ports"))


@pytest.mark.parametrize("name", EQUAL)
def test_lines(ports: dict[str, Port], name: str) -> None:
    one = ports[name]
    assert one.draft["refusals"] == []
    for line in EQUAL[name][1]:
        assert line in one.text


@pytest.mark.parametrize("name", EQUAL)
def test_numbers(results: dict[str, Any], name: str) -> None:
    assert results[name]["failed"] == {}
    errors = results[name]["errors"]
    assert set(errors) <= set(STAGES) and "forward_f64" in errors
    assert all(e < (1e-4 if stage == "jit" else 1e-11) for stage, e in errors.items()), errors


@pytest.mark.parametrize("name", REFUSED)
def test_refusal(name: str) -> None:
    source, code, text = REFUSED[name]
    one = port(source, "Net")
    found = one.draft["refusals"]
    assert [r["code"] for r in found] == [code]
    line = next(i for i, s in enumerate(source.splitlines(), 1) if text in s)
    assert (found[0]["line"], found[0]["file"]) == (line, "model.py")
    assert text in found[0]["text"] and found[0]["why"]
