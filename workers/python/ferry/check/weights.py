"""The weight map of a candidate: checked against both sides, applied, and walked back.

`WeightMap` is built once per check from the map, the source's tensors and the candidate's
variables. Building it is the `weights` stage: whatever does not fit raises `WeightMapError`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferry.check.errors import WeightMapError
from ferry.check.precision import is_floating, is_inexact
from ferry.check.weight_ops import Bound, Shape, Way, bind
from ferry.deliver.bundle.load_weights import FORMAT, Array, convert

Json = Mapping[str, Any]

#: Kinds of source tensors that a map must account for.
STATE_KINDS = ("parameter", "buffer")


@dataclass(frozen=True)
class Entry:
    """One entry of the map, bound to the shapes of its sources."""

    to: str
    sources: list[str]
    ops: list[Json]
    bound: list[Bound]

    def push(self, tensors: Mapping[str, Array]) -> Array:
        """The value of the target variable."""
        return convert({"to": self.to, "from": self.sources, "ops": self.ops}, tensors)

    def pull(self, value: Array, way: Way) -> Iterator[tuple[str, Array]]:
        """What `value`, an array of the target's shape, means for each source."""
        values = [value]
        for step in reversed(self.bound):
            values = step.pull(values, way)
        return zip(self.sources, values, strict=True)

    @property
    def invertible(self) -> bool:
        """Whether the sources' values can be told from the target's."""
        return all(step.invertible for step in self.bound)

    @property
    def isometric(self) -> bool:
        """Whether a step of an optimizer on the target is the same step on each source."""
        scaled = any(op["op"] == "scale" and abs(op["by"]) != 1 for op in self.ops)
        return self.invertible and not scaled

    @property
    def plain(self) -> bool:
        """Whether the entry uses each element of its sources exactly once."""
        once = len(set(self.sources)) == len(self.sources)
        return once and not any(op["op"] == "slice" for op in self.ops)


class WeightMap:
    """A map that fits: every source tensor is accounted for, every target filled once."""

    def __init__(
        self,
        weights: Any,
        tensors: Sequence[Json],
        targets: Mapping[str, Shape],
        aliases: Mapping[str, str],
    ) -> None:
        """Check `weights` against the source's tensors and the candidate's variables.

        `targets` has one name for each variable, `aliases` the further names of shared ones.
        """
        params, ignored = _parse(weights)
        self._aliases = aliases
        self.tensors = {tensor["name"]: tensor for tensor in tensors}
        self.entries = [self._entry(params[i], i) for i in range(len(params))]
        self.ignored = set(ignored)
        self._check_targets(targets)
        self._check_sources()

    def push(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """The candidate's variables from the source's tensors."""
        return {entry.to: entry.push(tensors) for entry in self.entries}

    def gradients(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """Gradients of the source's parameters from those of the candidate's variables.

        A parameter that feeds no variable, or is not trained, has a gradient of zeros; each
        name of a tied one has the whole gradient, as autograd gives it.
        """
        total: dict[int, Array] = {}
        for entry in self.entries:
            if entry.to in grads:
                for source, grad in entry.pull(grads[entry.to], Way.ADJOINT):
                    storage = self.tensors[source]["storage"]
                    total[storage] = total[storage] + grad if storage in total else grad
        found: dict[str, Array] = {}
        for name, tensor in self.tensors.items():
            if tensor["kind"] == "parameter" and is_inexact(tensor["dtype"]):
                trained = tensor.get("trainable", True) and tensor["storage"] in total
                zeros = np.zeros(
                    tensor["shape"], float if is_floating(tensor["dtype"]) else complex
                )
                found[name] = total[tensor["storage"]] if trained else zeros
        return found

    def state(self, variables: Mapping[str, Array]) -> dict[str, Array]:
        """The source's buffers and plain attributes from the candidate's variables.

        Left out is what the map cannot give back: an ignored tensor or a sum.
        """
        found: dict[str, Array] = {}
        lost: set[str] = set(self.ignored)
        for entry in self.entries:
            for source, value in entry.pull(variables[entry.to], Way.INVERSE):
                found[source] = found[source] + value if source in found else value
                if not entry.invertible:
                    lost.add(source)
        return {n: found[n] for n in self.stateful() if n in found and n not in lost}

    def parameters(
        self, variables: Mapping[str, Array], before: Mapping[str, Array]
    ) -> tuple[dict[str, Array], list[str]]:
        """The source's parameters after training, and those that can't be compared.

        The latter are parts of a sum, or scaled: an optimizer moves the variable by steps that
        are not those of its parts. A parameter that no variable holds keeps its value `before`.
        """
        found: dict[int, Array] = {}
        lost: set[int] = set()
        for entry in self.entries:
            for source, value in entry.pull(variables[entry.to], Way.INVERSE):
                storage = self.tensors[source]["storage"]
                found[storage] = found[storage] + value if storage in found else value
                if not entry.isometric:
                    lost.add(storage)
        names = [n for n, t in self.tensors.items() if _is_float_parameter(t)]
        assumed = [n for n in names if self.tensors[n]["storage"] in lost]
        values = {n: found.get(self.tensors[n]["storage"]) for n in names if n not in assumed}
        return {n: before[n] if v is None else v for n, v in values.items()}, assumed

    def sources(self) -> list[str]:
        """The names of the source's tensors that the map uses."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.sources))

    def stateful(self) -> list[str]:
        """The names of the source's buffers, persistent or not, and plain attributes."""
        return [name for name, t in self.tensors.items() if t["kind"] != "parameter"]

    def untrained(self) -> set[str]:
        """The targets that no parameter feeds which the source trains."""
        return {
            entry.to
            for entry in self.entries
            if not any(self.tensors[source].get("trainable", True) for source in entry.sources)
        }

    def trainable(self) -> set[str]:
        """The targets that a parameter of the source feeds."""
        return {
            entry.to
            for entry in self.entries
            if any(self.tensors[source]["kind"] == "parameter" for source in entry.sources)
        }

    def _entry(self, param: Any, index: int) -> Entry:
        where = f"params[{index}]"
        if not isinstance(param, dict) or not isinstance(param.get("to"), str):
            raise WeightMapError("format", f'{where}: needs "to", "from" and "ops"')
        where = f"{where} ({param['to']})"
        sources: Any = param.get("from")
        ops: Any = param.get("ops", [])
        if not _is_list_of(sources, str) or not _is_list_of(ops, dict):
            raise WeightMapError("format", f'{where}: "from" and "ops" must be lists')
        for source in sources:
            self._check_source(source, where, optional=bool(param.get("optional")))
        shapes: list[Shape] = [tuple(self.tensors[source]["shape"]) for source in sources]
        bound: list[Bound] = []
        for op in ops:
            if not shapes and op.get("op") != "constant":
                raise WeightMapError("no_operand", f"{where}: {op.get('op')} has no operand")
            bound.append(bind(op, shapes, where))
            shapes = bound[-1].shapes
        if len(shapes) != 1:
            raise WeightMapError("not_joined", f"{where}: {len(shapes)} tensors, one is needed")
        target = self._aliases.get(param["to"], param["to"])
        return Entry(target, list(sources), list(ops), bound)

    def _check_source(self, source: str, where: str, *, optional: bool) -> None:
        if source not in self.tensors:
            raise WeightMapError("unknown_source", f"{where}: the source has no {source}")
        if optional and self.tensors[source]["kind"] in STATE_KINDS:
            message = f"{where}: {source} is in every state_dict, so it can't be optional"
            raise WeightMapError("not_optional", message)

    def _shape_of(self, entry: Entry) -> Shape:
        if entry.bound:
            return entry.bound[-1].shapes[0]
        return tuple(self.tensors[entry.sources[0]]["shape"])

    def _check_targets(self, targets: Mapping[str, Shape]) -> None:
        filled = Counter(entry.to for entry in self.entries)
        for entry in self.entries:
            if entry.to not in targets:
                message = f"{entry.to}: the candidate has no such variable"
                raise WeightMapError("unknown_target", message)
            if filled[entry.to] > 1:
                raise WeightMapError("target_twice", f"{entry.to} is filled more than once")
            shape = self._shape_of(entry)
            if shape != targets[entry.to]:
                message = f"{entry.to}: the map gives {shape}, the candidate {targets[entry.to]}"
                raise WeightMapError("shape", message)
        missing = sorted(set(targets) - set(filled))
        if missing:
            raise WeightMapError("target_unfilled", f"nothing fills {_listed(missing)}")

    def _check_sources(self) -> None:
        unknown = sorted(self.ignored - set(self.tensors))
        if unknown:
            raise WeightMapError("unknown_source", f"ignored, but not there: {_listed(unknown)}")
        used_by = self._users_of_storage()
        unused = [
            name
            for name, tensor in self.tensors.items()
            if tensor["kind"] in STATE_KINDS
            and name not in self.ignored
            and tensor["storage"] not in used_by
        ]
        if unused:
            message = f"neither used nor ignored: {_listed(unused)}"
            raise WeightMapError("source_unused", message)
        for storage, users in used_by.items():
            self._check_alias(storage, users)
            if len(users) > 1 or not users[0].plain:
                self._check_coverage(storage, users)

    def _check_alias(self, storage: int, users: list[Entry]) -> None:
        """A tied tensor is used by a name whose shape is that of its first name."""
        first = self._first_of_storage()[storage]
        shape = self.tensors[first]["shape"]
        for source in self._sources_in(storage, users):
            if self.tensors[source]["shape"] != shape:
                message = f"{source} is a view of {first}, which has another shape: use {first}"
                raise WeightMapError("alias_shape", message)

    def _check_coverage(self, storage: int, users: list[Entry]) -> None:
        """Each element of a tensor is used exactly once; a tied one stays one variable."""
        name = self._sources_in(storage, users)[0]
        count = np.zeros(self.tensors[name]["shape"], np.uint8)
        for entry in users:
            ones = np.ones(self._shape_of(entry), np.uint8)
            for source, part in entry.pull(ones, Way.COUNT):
                if self.tensors[source]["storage"] == storage:
                    count = count + part
        if count.size and count.max() > 1:
            message = f"{name} is used twice; share one variable where the source shares a tensor"
            raise WeightMapError("source_twice", message)
        if count.size and count.min() == 0 and name not in self.ignored:
            raise WeightMapError("source_unused", f"a part of {name} is neither used nor ignored")

    def _sources_in(self, storage: int, users: list[Entry]) -> list[str]:
        return [s for e in users for s in e.sources if self.tensors[s]["storage"] == storage]

    def _users_of_storage(self) -> dict[int, list[Entry]]:
        users: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            for storage in dict.fromkeys(self.tensors[s]["storage"] for s in entry.sources):
                users[storage].append(entry)
        return users

    def _first_of_storage(self) -> dict[int, str]:
        first: dict[int, str] = {}
        for name, tensor in self.tensors.items():
            first.setdefault(tensor["storage"], name)
        return first


def _parse(weights: Any) -> tuple[list[Any], list[str]]:
    """The entries and the ignored names of a map that has the right form."""
    if not isinstance(weights, dict) or weights.get("format") != FORMAT:
        raise WeightMapError("format", f'the weight map must have "format": "{FORMAT}"')
    params, ignored = weights.get("params"), weights.get("ignored", [])
    if not isinstance(params, list) or not _is_list_of(ignored, str):
        raise WeightMapError("format", '"params" must be a list, "ignored" a list of names')
    return params, ignored


def _is_float_parameter(tensor: Json) -> bool:
    return tensor["kind"] == "parameter" and is_floating(tensor["dtype"])


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
