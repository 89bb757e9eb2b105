"""Inputs that nobody gave: from the first layers an argument reaches, then by trying."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ferry.oracle.inputs import Inputs, call, from_specs
from ferry.oracle.places import source_runs
from ferry.oracle.program import Program, seed_all
from ferry.oracle.reach import Reached, reached_layers
from ferry.oracle.trees import flatten_output
from ferry.step import StepError

Json = dict[str, Any]
Shape = list[int]

MAX_TRIES = 400
BATCH = 2
LENGTH = 8
SIDES_2D = (32, 28, 64, 16, 224, 8, 48, 96, 128, 227, 299)
SIDES_1D = (32, 64, 16, 128, 100, 256, 512, 1024)
SIDES_3D = (16, 8, 32, 64)
FLOATS: tuple[Shape, ...] = (
    [BATCH, 16],
    [BATCH, LENGTH, 16],
    [BATCH, 3, 32, 32],
    [BATCH, 1, 28, 28],
    [BATCH, 4, 16],
    [16],
    [16, 16],
    [BATCH, 16, 16],
    [BATCH, 3, 8, 16, 16],
)


def infer_inputs(program: Program) -> tuple[Inputs, Json]:
    """Inputs that the entry really ran on, and the assumption that says what they are."""
    names = _wanted(program)
    model = program.build()
    if isinstance(model, nn.Module):
        model.eval()
    reached = reached_layers(program, model, names)
    last: StepError | None = None
    for specs in _combinations([list(_candidates(reached.get(name))) for name in names]):
        try:
            inputs = from_specs(program, specs, "inferred")
            seed_all(program.seed)
            with source_runs(program.paths), torch.no_grad():
                output = call(model, inputs.first.copied())
            flatten_output(output)
        except StepError as error:
            last = error
        else:
            return inputs, _assumption(program, names, specs)
    raise _unknown(program, names, reached, last)


def _wanted(program: Program) -> list[str]:
    """The arguments of the entry that have no default."""
    target: Any = program.entry.target
    function = target.forward if program.is_class else target
    parameters = list(inspect.signature(function).parameters.values())[int(program.is_class) :]
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [p for p in parameters if p.kind not in free]
    wanted = [p.name for p in named if p.default is p.empty]
    if wanted or not parameters:
        return wanted
    return [named[0].name] if named else []


def _combinations(candidates: list[list[Json]]) -> Iterator[list[Json]]:
    """Choices of one candidate per argument: alike ones first, then all, up to a limit."""
    together = zip(*candidates, strict=False) if len(candidates) > 1 else iter(())
    tries = itertools.chain(together, itertools.product(*candidates))
    for choice in itertools.islice(tries, MAX_TRIES):
        yield [dict(spec) for spec in choice]


def _candidates(reached: Reached | None) -> Iterator[Json]:
    """Specs worth trying for one argument, likeliest first."""
    if reached is None or reached.layer is None:
        rank = reached.rank if reached else None
        for shape in FLOATS:
            if rank in (None, len(shape)):
                yield {"shape": shape, "dtype": "float32"}
        yield {"shape": [BATCH, LENGTH][: rank or 2], "dtype": "int64"}
        yield {"shape": [BATCH], "dtype": "int64"}
        return
    layer = reached.layer
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        high = layer.num_embeddings
        for shape in ([BATCH, LENGTH], [BATCH], [BATCH, 1], [LENGTH]):
            if reached.rank in (None, len(shape)):
                yield {"shape": shape, "dtype": "int64", "low": 0, "high": high}
        return
    for shape in _state_shapes(layer) if reached.state else _float_shapes(layer):
        if reached.rank in (None, len(shape)):
            yield {"shape": shape, "dtype": "float32"}


def _float_shapes(layer: nn.Module) -> Iterator[Shape]:
    if isinstance(layer, nn.modules.conv._ConvNd):
        yield from _images(layer.in_channels, layer.weight.ndim - 2)
    elif isinstance(layer, nn.Linear):
        yield from _features(layer.in_features)
    elif isinstance(layer, nn.RNNBase):
        size = layer.input_size
        yield [BATCH, LENGTH, size] if layer.batch_first else [LENGTH, BATCH, size]
    elif isinstance(layer, nn.RNNCellBase):
        yield [BATCH, layer.input_size]
    elif isinstance(layer, nn.MultiheadAttention):
        yield [BATCH, LENGTH, layer.embed_dim]
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        shape = list(layer.normalized_shape)
        yield from ([BATCH, *shape], [BATCH, LENGTH, *shape])
    elif isinstance(layer, nn.GroupNorm):
        yield from ([BATCH, layer.num_channels, *tail] for tail in ([], [16], [16, 16], [8, 8, 8]))
    elif isinstance(layer, nn.modules.batchnorm._NormBase):
        ranks = {"1d": ([], [16]), "2d": ([16, 16],), "3d": ([8, 8, 8],)}
        tails = ranks.get(type(layer).__name__[-2:], ([], [16], [16, 16]))
        yield from ([BATCH, layer.num_features, *tail] for tail in tails)
    else:
        yield from FLOATS


def _state_shapes(layer: nn.Module) -> Iterator[Shape]:
    """The recurrent state of `layer`."""
    if isinstance(layer, nn.RNNBase):
        deep = layer.num_layers * (2 if layer.bidirectional else 1)
        size = layer.proj_size or layer.hidden_size
        yield from ([deep, BATCH, size], [deep, size])
    elif isinstance(layer, nn.RNNCellBase):
        yield from ([BATCH, layer.hidden_size], [layer.hidden_size])


def _images(channels: int, dims: int) -> Iterator[Shape]:
    sides = {1: SIDES_1D, 2: SIDES_2D, 3: SIDES_3D}[dims]
    yield from ([BATCH, channels, *[side] * dims] for side in sides)


def _features(size: int) -> Iterator[Shape]:
    """Vectors, sequences, and images that flatten to `size` values."""
    yield from ([BATCH, size], [BATCH, LENGTH, size])
    for channels in (1, 3):
        side = round((size / channels) ** 0.5)
        if channels * side * side == size and side > 1:
            yield [BATCH, channels, side, side]


def _assumption(program: Program, names: list[str], specs: list[Json]) -> Json:
    shown = ", ".join(
        f"{name}: {spec['dtype']}{spec['shape']}" for name, spec in zip(names, specs, strict=True)
    )
    return {
        "code": "inputs_inferred",
        "text": f"no inputs were given; the source was run on {shown or 'no arguments'}",
        "file": program.entry.file.path,
        "line": program.entry.line,
    }


def _unknown(
    program: Program, names: list[str], reached: dict[str, Reached], last: StepError | None
) -> StepError:
    """`inputs_unknown`, naming the arguments about which the source itself says nothing."""
    silent = [n for n in names if n not in reached or reached[n].layer is None] or names
    listed = ", ".join(repr(name) for name in silent)
    if last is not None and last.code == "missing_package":
        return last
    return StepError(
        "inputs_unknown",
        f"the shape of the argument {listed} could not be inferred; give `inputs`",
        file=program.entry.file.path,
        line=program.entry.line,
        why=f"the last try ended in: {last.message}" if last else None,
        traceback=last.traceback if last else None,
    )
