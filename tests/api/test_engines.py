"""GET /v1/engines: which engines there are, and what the builtin one ports."""

from __future__ import annotations

from pathlib import Path

from http_api import Client

LISTED = Path(__file__).resolve().parents[2] / "api" / "operations.txt"


def test_the_builtin_engine_lists_its_operations(api: Client) -> None:
    engines = {engine["name"]: engine for engine in api.get("/v1/engines").json()["engines"]}
    assert engines["builtin"]["operations"] == LISTED.read_text(encoding="utf-8").splitlines()
    assert {"torch.nn.Conv2d", "torch.einsum", "Tensor.view"} <= {*engines["builtin"]["operations"]}
    assert all("operations" not in e for name, e in engines.items() if name != "builtin")
