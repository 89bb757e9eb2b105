"""Loops over identical blocks as `nnx.scan`: where it is done, that it is equal, and what forbids it."""

from __future__ import annotations

import pytest
from oracle_and_port import Json, Port, draft, port, run_ports
from sources_scan import KEPT, SCANNED


@pytest.fixture(scope="module")
def ports() -> dict[str, Port]:
    return {
        name: port(text, "Net", "idiomatic", scan=True)
        for name, text in {**SCANNED, **KEPT}.items()
    }


@pytest.fixture(scope="module")
def outcomes(ports: dict[str, Port], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    return run_ports(ports, tmp_path_factory.mktemp("scans"))


@pytest.mark.parametrize("name", list(SCANNED))
def test_scanned(ports: dict[str, Port], name: str) -> None:
    one = ports[name]
    assert one.codes == []
    assert [s["to"] for s in one.draft["switches"]].count("nnx.scan") == 1
    assert "for block in" not in one.text and "nnx.ModuleList" not in one.text


@pytest.mark.parametrize("name", list(KEPT))
def test_kept(ports: dict[str, Port], name: str) -> None:
    one = ports[name]
    assert one.codes == []
    assert "nnx.scan" not in one.text and "for block in self.blocks:" in one.text


@pytest.mark.parametrize("name", [*SCANNED, *KEPT])
def test_equal(outcomes: dict[str, Json], name: str) -> None:
    outcome = outcomes[name]
    assert outcome["failed"] == {}
    assert set(outcome["errors"]) == {"forward_f64", "gradients", "train_state", "jit"}
    for stage, error in outcome["errors"].items():
        assert error < (5e-6 if stage == "jit" else 1e-12), stage


def test_layout(ports: dict[str, Port]) -> None:
    body = ports["layers"].text.split("class Net")[1].splitlines()
    assert body[2:10] == [
        "        @nnx.split_rngs(splits=depth)",
        "        @nnx.vmap",
        "        def make_block(rngs: nnx.Rngs):",
        "            return Block(dim, rngs=rngs)",
        "",
        "        self.blocks = make_block(rngs)",
        "        self.head = nnx.Linear(dim, 2, rngs=rngs)",
        "",
    ]
    gated = ports["more_arguments"].text.split("def __call__")[-1].splitlines()
    assert gated[1].startswith("        gate = ") and gated[2] == ""
    assert gated[3] == "        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)"


def test_only_where_asked() -> None:
    text = port(SCANNED["layers"], "Net", "idiomatic").text
    assert "nnx.scan" not in text and "for block in self.blocks:" in text


def test_taken_back(ports: dict[str, Port]) -> None:
    one = ports["layers"]
    (scan,) = (s["id"] for s in one.draft["switches"] if s["to"] == "nnx.scan")
    again = draft.translate(
        [{"path": "model.py", "content": SCANNED["layers"]}],
        one.captured["facts"],
        one.captured["tensors"],
        one.captured["plan"]["entry"],
        "idiomatic",
        [scan],
        scan=True,
    )
    without = [s for s in one.draft["switches"] if s["id"] != scan]
    assert again["switches"] == without and "nnx.scan" not in again["files"][0]["content"]
