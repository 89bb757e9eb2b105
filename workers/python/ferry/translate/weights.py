"""The weight map of a port: every variable keeps its name and layout, but for switched layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferry.translate.idiom import Idioms
from ferry.translate.table.idiom import SEQUENTIAL

Json = dict[str, Any]
_NUMBERED = (".ModuleList", ".ParameterList")


def weight_map(
    tensors: Sequence[Mapping[str, Any]],
    modules: Sequence[Mapping[str, Any]],
    idioms: Idioms | None = None,
) -> Json:
    """ferry.weights/1 for the tensors of the capture.

    Tied tensors are one variable; nnx lists it under the first of its paths, and the map
    fills it from the first of its names. The other names are ``tied`` and ``ignored``.
    """
    places = _Places(modules, idioms or Idioms())
    groups: dict[int, list[str]] = {}
    by_name = {tensor["name"]: tensor for tensor in tensors}
    for tensor in tensors:
        groups.setdefault(tensor["storage"], []).append(tensor["name"])
    params: list[Json] = []
    tied: dict[str, str] = {}
    ignored: list[str] = []
    for names in groups.values():
        stack = places.stack(names[0])
        if stack and stack[0] != names[0]:
            continue  # part of the first block's
        sources = stack or names[:1]
        targets = [places.targets(by_name[name]) for name in names]
        if not targets[0]:
            ignored += sources
        for same in zip(*targets, strict=True):
            to, ops = min(same, key=lambda target: places.visit_order(target[0]))
            if stack:
                ops = _stacked(ops, len(stack), by_name[names[0]]["shape"])
            params.append({"to": to, "from": sources, "ops": ops})
        tied.update(dict.fromkeys(names[1:], names[0]))
    result: Json = {"format": "ferry.weights/1", "params": params, "ignored": [*ignored, *tied]}
    if tied:
        result["tied"] = tied
    return result


def _stacked(ops: Sequence[Json], number: int, shape: Sequence[int]) -> list[Json]:
    """Operations on one tensor of `shape`, for `number` of them along a new first axis."""
    joined: list[Json] = [
        {"op": "concat", "axis": 0},
        {"op": "reshape", "shape": [number, *shape]},
    ]
    for op in ops:
        moved = dict(op)
        for field in ("axis", "axes"):
            if field in op:
                given = op[field]
                axes = [0] if op["op"] == "permute" else []
                moved[field] = (
                    given + 1 if isinstance(given, int) else axes + [axis + 1 for axis in given]
                )
        if "shape" in op:
            moved["shape"] = [number, *op["shape"]]
        joined.append(moved)
    return joined


class _Places:
    """Where the port has what the source has at a path."""

    def __init__(self, modules: Sequence[Mapping[str, Any]], idioms: Idioms) -> None:
        self._idioms = idioms
        self._configs = {m["path"]: m.get("config") or {} for m in modules}
        self._sequences = {p for p, one in idioms.by_path.items() if one.switch is SEQUENTIAL}
        self._scanned = {scan.path for scan in idioms.scans}
        lists = {m["path"] for m in modules if str(m.get("class", "")).endswith(_NUMBERED)}
        self._numbered = {self.path(p) for p in lists - self._scanned}
        self._numbered |= {f"{self.path(p)}.layers" for p in self._sequences}

    def stack(self, name: str) -> list[str]:
        """The names of the tensors that are stacked with one of a scanned block, its own included."""
        for scan in self._idioms.scans:
            start = f"{scan.path}."
            if name.startswith(start):
                rest = name[len(start) :].partition(".")[2]
                return [f"{start}{index}.{rest}" for index in range(scan.number)]
        return []

    def path(self, path: str) -> str:
        """A module's or a variable's path in the port.

        Children of `nnx.Sequential` are in ``layers``; scanned blocks are one, so that they have no number.
        """
        parts = path.split(".")
        found: list[str] = []
        for index, part in enumerate(parts):
            owner = ".".join(parts[:index])
            if owner in self._scanned:
                continue
            found += ["layers", part] if owner in self._sequences else [part]
        return ".".join(found)

    def targets(self, tensor: Mapping[str, Any]) -> list[tuple[str, list[Json]]]:
        """The variables that a tensor goes to, and how."""
        name = tensor["name"]
        owner = self._idioms.owner(name)
        if owner is None:
            return [(self.path(name), [])]
        path, applied = owner
        return [
            (f"{self.path(path)}.{v.path}", v.ops(self._configs[path], tensor["shape"]))
            for v in applied.switch.variables[name[len(path) + 1 :]]
        ]

    def visit_order(self, name: str) -> tuple[tuple[int, str], ...]:
        """The place of a path in nnx's walk: attributes by name, elements of lists by number."""
        parts = name.split(".")
        order: list[tuple[int, str]] = []
        for index, part in enumerate(parts):
            in_list = ".".join(parts[:index]) in self._numbered and part.isdigit()
            order.append((int(part), "") if in_list else (0, part))
        return tuple(order)
