"""Weights and inputs of an oracle that is there already, out of its `given`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ferry.oracle.inputs import Inputs
from ferry.oracle.recipe import Weights
from ferry.oracle.state import variables
from ferry.oracle.trees import Arguments

Given = Mapping[str, Tensor]


def recorded_weights(built: Callable[..., Any], given: Given, draw: int) -> Weights:
    """Weight draw `draw`, by the names of the built module's variables; a function has none."""
    if not isinstance(built, nn.Module):
        return {}
    return {v.name: _unstored(given[f"w{draw}/{v.name}"], v.tensor.dtype) for v in variables(built)}


def recorded_input(inputs: Inputs, given: Given, index: int) -> Arguments:
    """Argument set `index`."""
    return inputs.first.mapped(lambda path, like: _unstored(given[f"x{index}/{path}"], like.dtype))


def recorded_cotangents(given: Given, index: int) -> dict[str, Tensor]:
    """The cotangents of argument set `index`, by output path."""
    prefix = f"ct{index}/"
    return {n.removeprefix(prefix): v for n, v in given.items() if n.startswith(prefix)}


def _unstored(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of given in the source's own dtype."""
    return torch.view_as_complex(value) if dtype.is_complex else value
