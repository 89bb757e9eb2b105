"""The arguments that the entry is run on: given, the file's own, an expression, or inferred."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ferry.oracle.bounds import IndexBounds
from ferry.oracle.families import Family, draw, from_spec, observe
from ferry.oracle.places import source_runs
from ferry.oracle.program import Program, seed_all
from ferry.oracle.trees import BY_NAME, Arguments, Leaves, float32_exact
from ferry.step import StepError

Json = dict[str, Any]


@dataclass
class Inputs:
    """The first set of arguments, with the family of each tensor so that more can be drawn."""

    how: str
    first: Arguments
    families: dict[str, Family]
    specs: list[Json] | None = None

    @property
    def movable(self) -> set[str]:
        """The inputs that may have any value near their own."""
        return {path for path, f in self.families.items() if f.name in ("normal", "uniform")}

    def to_json(self) -> Json:
        """The `inputs` of inspect's result."""
        return {"how": self.how} | ({} if self.specs is None else {"specs": self.specs})


def generator_for(*key: object) -> torch.Generator:
    """A generator of its own for each thing that is drawn, the same in every run."""
    seed = zlib.crc32("/".join(map(str, key)).encode())
    return torch.Generator().manual_seed(seed)


def call(model: Callable[..., Any], arguments: Arguments) -> Any:
    """Run the entry."""
    return model(*arguments.args, **arguments.kwargs)


def resolve_inputs(program: Program, request: Json, inferred: list[Json] | None) -> Inputs | None:
    """The inputs as far as they are known without inferring anything, else None."""
    if request.get("inputs") is not None:
        return from_specs(program, request["inputs"], "given")
    if request.get("inputs_expr"):
        seed_all(program.seed)
        return observed("expr", program.evaluate(request["inputs_expr"]))
    own = getattr(program.entry.module, "get_inputs", None)
    if callable(own):
        seed_all(program.seed)
        with source_runs(program.paths):
            value = own()
        return observed("get_inputs", value)
    return None if inferred is None else from_specs(program, inferred, "inferred")


def observed(how: str, value: Any) -> Inputs:
    """Inputs from a value: a dict is keywords, a list or tuple positional, else one argument."""
    if isinstance(value, Mapping):
        arguments = Arguments([], {str(name): item for name, item in value.items()})
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        arguments = Arguments(list(value), {})
    else:
        arguments = Arguments([value], {})
    first = arguments.mapped(lambda _, tensor: float32_exact(tensor.detach().clone()))
    return Inputs(how, first, {path: observe(leaf) for path, leaf in first.leaves().items()})


def from_specs(program: Program, specs: Sequence[Json], how: str) -> Inputs:
    """Inputs drawn after the caller's specs; open integer ranges end where they would index."""
    bounds: Mapping[str, int] = {}
    if any(_is_open(spec) for spec in specs):
        bounds = trace_bounds(program, _build(specs, lambda path, spec: Family("int", 0, 1)))
    families: dict[str, Family] = {}

    def family(path: str, spec: Json) -> Family:
        families[path] = from_spec(spec, bounds.get(path))
        return families[path]

    first = _build(specs, family, program.seed)
    return Inputs(how, first, families, list(specs))


def _is_open(spec: Json) -> bool:
    integer = (spec.get("dtype") or "float32").startswith(("int", "uint"))
    return integer and spec.get("high") is None and spec.get("value") is None


def _build(
    specs: Sequence[Json], family_of: Callable[[str, Json], Family], seed: int = 0
) -> Arguments:
    arguments = Arguments([], {})
    for spec in specs:
        name = spec.get("name")
        path = name or str(len(arguments.args))
        value = _value(path, spec, family_of, seed)
        if name:
            arguments.kwargs[name] = value
        else:
            arguments.args.append(value)
    return arguments


def _value(path: str, spec: Json, family_of: Callable[[str, Json], Family], seed: int) -> Any:
    """One argument: a tensor, or where there is no shape the plain value."""
    if spec.get("shape") is None:
        return spec.get("value")
    dtype = BY_NAME.get(spec.get("dtype") or "float32")
    if dtype is None:
        raise StepError("inputs_refused", f"there is no dtype {spec['dtype']!r}")
    shape = tuple(spec["shape"])
    if spec.get("value") is not None:
        like = torch.full(shape, spec["value"], dtype=dtype)
    else:
        like = torch.empty(0, dtype=dtype)
    return draw(family_of(path, spec), like, shape, generator_for("input", seed, path))


def trace_bounds(program: Program, arguments: Arguments) -> dict[str, int]:
    """Run the entry on `arguments` and see how far each integer argument may go."""
    model = program.build()
    if isinstance(model, nn.Module):
        model.eval()
    seed_all(program.seed)
    with source_runs(program.paths), torch.no_grad(), IndexBounds(arguments.leaves()) as bounds:
        call(model, arguments)
    found: dict[str, int] = bounds.found
    return found


def require_bound(program: Program, arguments: Arguments) -> None:
    """`inputs_refused` where the entry does not take this many, or these, arguments."""
    target: Any = program.entry.target
    try:
        signature = inspect.signature(target.forward if program.is_class else target)
    except (ValueError, AttributeError):
        return
    args = [None, *arguments.args] if program.is_class else arguments.args
    try:
        signature.bind(*args, **arguments.kwargs)
    except TypeError as error:
        raise StepError("inputs_refused", f"forward: {error}") from None


def other_set(
    inputs: Inputs,
    shapes: Mapping[str, tuple[int, ...]],
    key: object,
    *,
    turn: int = 0,
    scale: float = 1.0,
) -> Arguments:
    """Another set of arguments of the same families, in `shapes` (its own where not named).

    `scale` multiplies the values where their family allows it; a flag of one element is
    false in one `turn` and true in the next.
    """

    def fresh(path: str, tensor: torch.Tensor) -> torch.Tensor:
        shape = shapes.get(path, tuple(tensor.shape))
        family = inputs.families[path].scaled(scale)
        return draw(family, tensor, shape, generator_for("input", key, path), turn)

    return inputs.first.mapped(fresh)


def batch_shapes(
    leaves: Leaves, sizes: Sequence[int] | None = None
) -> list[dict[str, tuple[int, ...]]]:
    """Shapes with another batch size (one of `sizes`) that are worth trying, likeliest first."""
    shapes = {path: tuple(leaf.shape) for path, leaf in leaves.items() if leaf.ndim}
    if not shapes:
        return []
    first = next(iter(shapes))
    batch = shapes[first][0]
    tries: list[dict[str, tuple[int, ...]]] = []
    for size in sizes if sizes is not None else (5 if batch == 3 else 3, 2 * batch):
        lead = {p: (size, *s[1:]) for p, s in shapes.items() if s[0] == batch}
        anywhere = {p: _replaced(s, batch, size) for p, s in shapes.items() if batch in s}
        for change in (lead, anywhere, {first: lead[first]}):
            if change not in tries:
                tries.append(change)
    return tries


def _replaced(shape: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    at = shape.index(old)
    return (*shape[:at], new, *shape[at + 1 :])
