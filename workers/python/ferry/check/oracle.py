"""The numbers of the oracle as a candidate's programs take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ferry.check.call import Arrays, Call, Numbers, freed
from ferry.check.effects import Effects
from ferry.check.precision import in_precision
from ferry.check.tensors import Array, decode_complex
from ferry.check.trees import leaf_paths
from ferry.check.weights import WeightMap
from ferry.step import Json

#: So many converted weight draws are kept at a time; cases of one draw follow one another.
KEPT_DRAWS = 4


def has_gradients(case: Json) -> bool:
    """Whether a case is differentiated, so that its inputs have cotangents."""
    return case["stage"] == "gradients" or bool(case.get("gradients") or case.get("optimizer"))


def _input_sets(case: Json) -> list[int]:
    return list(case["inputs"]) if "inputs" in case else [case["input"]]


class Oracle:
    """The plan's cases with their weights, inputs, cotangents and draws from `given`."""

    def __init__(
        self, plan: Json, tensors: Sequence[Mapping[str, Any]], given: Mapping[str, Array]
    ) -> None:
        self._plan = plan
        self._dtypes = {tensor["name"]: tensor["dtype"] for tensor in tensors}
        self._given = given
        self._map: WeightMap | None = None
        self._weights: dict[tuple[int, str], Arrays] = {}
        self._seed: int | None = None

    @contextmanager
    def drawing_freely(self, seed: int) -> Iterator[None]:
        """Calls draw on their own, by `seed`, instead of replaying what was recorded."""
        self._seed = seed
        try:
            yield
        finally:
            self._seed = None

    def use_map(self, weight_map: WeightMap) -> None:
        """Convert the source's tensors by `weight_map` from now on."""
        self._map = weight_map

    def cases(self, stage: str) -> list[Json]:
        """The plan's cases of a stage."""
        return [case for case in self._plan["cases"] if case["stage"] == stage]

    def case(self, identity: str) -> Json:
        """One case of the plan."""
        return next(dict(case) for case in self._plan["cases"] if case["id"] == identity)

    def call(self, case: Json) -> tuple[Call, Numbers]:
        """One case as a call and its numbers."""
        call = self.signature(case)
        inputs, rng = _input_sets(case), call.rng
        numbers = Numbers(
            weights=self._draw(case["draw"], case["dtype"]),
            inputs=[self._input(index, case["dtype"]) for index in inputs],
            draws=[self._drawn(draw, case["dtype"]) for draw in rng],
        )
        if has_gradients(case):
            numbers.cotangents = [self._cotangents(index) for index in inputs]
        return (call, numbers) if self._seed is None else freed(call, numbers, self._seed)

    def signature(self, case: Json) -> Call:
        """What the program of a case depends on."""
        argsets = [self._plan["inputs"][index] for index in _input_sets(case)]
        return Call(
            case["dtype"],
            case["mode"],
            argsets,
            case.get("rng") or [],
            effects=Effects.of(case),
            narrow=tuple(self._plan.get("narrow", ())),
        )

    def shapes_call(self, index: int) -> tuple[Call, Numbers]:
        """The call that shows the output shapes of input set `index`: a float32 forward.

        Where no case runs that, the float64 one serves, so that no program is traced for it alone.
        """
        like = [
            c
            for c in self._plan["cases"]
            if c["mode"] == "eval" and c["input"] == index and not has_gradients(c)
        ]
        narrow = [c for c in like if c["dtype"] == "float32"]
        case = (narrow or like or [None])[0]
        plain = {"draw": 0, "input": index, "mode": "eval", "dtype": "float32"}
        return self.call({**(case or plain), "stage": "shapes", "draw": 0})

    def source_weights(self, draw: int, dtype: str) -> Arrays:
        """The source's own tensors of one weight draw, by torch's names."""
        return {
            name: self._value(f"w{draw}/{name}", stored, dtype)
            for name, stored in self._dtypes.items()
            if f"w{draw}/{name}" in self._given
        }

    def _draw(self, draw: int, dtype: str) -> Arrays:
        """The candidate's variables for one weight draw."""
        if self._map is None:
            return {}
        key = (draw, dtype)
        if key not in self._weights:
            values = self._map.push(
                {
                    name: self._value(f"w{draw}/{name}", self._dtypes[name], dtype)
                    for name in self._map.sources()
                }
            )
            if len(self._weights) >= KEPT_DRAWS:
                self._weights.pop(next(iter(self._weights)))
            self._weights[key] = {n: in_precision(v, dtype) for n, v in values.items()}
        return self._weights[key]

    def _input(self, index: int, dtype: str) -> Arrays:
        return {
            path: self._value(f"x{index}/{path}", spec["dtype"], dtype)
            for path, spec in leaf_paths(self._plan["inputs"][index])
        }

    def _value(self, name: str, stored: str, dtype: str) -> Array:
        """A given tensor of the dtype `stored`, in the precision of a stage."""
        value = self._given[name]
        if stored.startswith("complex"):
            value = decode_complex(value)
        return in_precision(value, dtype)

    def _drawn(self, draw: Mapping[str, Any], dtype: str) -> Arrays:
        """The arrays of one recorded draw."""
        found = {"values": self._value(draw["tensor"], draw["dtype"], dtype)}
        if "gumbel" in draw:
            found["gumbel"] = self._value(draw["gumbel"], "float64", dtype)
        return found

    def _cotangents(self, index: int) -> Arrays:
        prefix = f"ct{index}/"
        return {
            name.removeprefix(prefix): value
            for name, value in self._given.items()
            if name.startswith(prefix)
        }
