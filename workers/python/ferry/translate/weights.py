"""The weight map of a faithful port: every variable keeps its name and layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def weight_map(tensors: Sequence[Mapping[str, Any]], modules: Sequence[Mapping[str, Any]]) -> Json:
    """ferry.weights/1 for the tensors of the capture.

    Tied tensors are one variable; nnx lists it under the first of its paths, and the map
    fills it from the first of its names. The other names are ``tied`` and ``ignored``.
    """
    numbered = {
        m["path"]
        for m in modules
        if str(m.get("class", "")).endswith((".ModuleList", ".ParameterList"))
    }
    groups: dict[int, list[str]] = {}
    for tensor in tensors:
        groups.setdefault(tensor["storage"], []).append(tensor["name"])
    params: list[Json] = []
    tied: dict[str, str] = {}
    for names in groups.values():
        to = min(names, key=lambda name: _visit_order(name, numbered))
        params.append({"to": to, "from": [names[0]], "ops": []})
        tied.update(dict.fromkeys(names[1:], names[0]))
    result: Json = {"format": "ferry.weights/1", "params": params, "ignored": list(tied)}
    if tied:
        result["tied"] = tied
    return result


def _visit_order(name: str, numbered: set[str]) -> tuple[tuple[int, str], ...]:
    """The place of a path in nnx's walk: attributes by name, elements of lists by number."""
    parts = name.split(".")
    order: list[tuple[int, str]] = []
    for index, part in enumerate(parts):
        parent = ".".join(parts[:index])
        order.append((int(part), "") if parent in numbered and part.isdigit() else (0, part))
    return tuple(order)
